ARG x
RUN ls
