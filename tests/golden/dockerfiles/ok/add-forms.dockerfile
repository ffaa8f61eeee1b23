FROM busybox
ADD a.tar.gz /
ADD https://example.com/a.tar /b/
ADD --checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d https://example.com/a /a
ADD --keep-git-dir=true https://github.com/a/b.git#main /src
ADD --chown=1 --chmod=644 --link --exclude=x --unpack=false a b
ADD --unpack a b
ADD ["a", "b c"]
