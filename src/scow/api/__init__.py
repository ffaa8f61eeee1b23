"""Docker's wire types (Engine API 1.24 to 1.45), as msgspec structs. Field names and order are Docker's; used both ways.

A field of type `… | UnsetType` is left out of answers when empty, as Go's `omitempty` does. Lists and maps that Docker
writes as null when nobody gave them are `None`. The engine below never sees these types.
"""
