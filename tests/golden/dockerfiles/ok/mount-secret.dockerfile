FROM busybox
RUN --mount=type=secret,id=token,required=true,mode=0400 --mount=type=secret,id=key,env=KEY cat /run/secrets/token
