FROM registry.example:5000/a/b:c AS x
