FROM busybox
CMD ["\u0041", "tab\t", "\ud800", "quote\""]
