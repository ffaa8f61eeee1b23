"""The Docker front: routes of the Engine API over one engine; `app.build_app` is the entry."""
