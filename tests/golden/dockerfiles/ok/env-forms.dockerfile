FROM busybox
ENV a=1
ENV b=1 c="x y" d='z $a' e=x\ y
ENV f 1
ENV g  two  words 
ENV h=$a i=${a:-b} j="${a}"
ENV "k"=v
ENV l= m=
