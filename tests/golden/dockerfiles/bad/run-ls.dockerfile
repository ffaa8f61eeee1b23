RUN ls
