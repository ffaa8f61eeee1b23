"""squash: all layers on top of the base as one."""

from dataclasses import replace
from typing import Any

from scow.build.layers import Layer, make
from scow.build.state import State
from scow.build.work import Work
from scow.images.archive.writer import Emit
from scow.images.commit import rfc3339
from scow.images.union import write_union

_SECOND = 1_000_000_000


async def squashed(work: Work, state: State) -> State:
    """The state with one layer in place of its own. The history keeps its lines, and one more says what was done, as Docker's."""
    if not state.stepped:
        return state
    catalog, trees = work.parts.catalog, work.parts.trees
    base = len(state.base.chain_ids) if state.base is not None else 0
    directories = [trees.path(catalog.layers[chain_id].directory) for chain_id in reversed(state.chain)]
    ours = len(directories) - base
    made: list[Layer] = []

    def write(emit: Emit) -> None:
        write_union(directories[:ours], directories[ours:], emit)

    def keep(layer: Layer) -> None:
        work.hold([layer.chain_id, layer.descriptor.digest])
        work.unkept.append(layer)
        made.append(layer)

    if ours:
        await make(work.parts, state.diff_ids[:base], write, keep)
    below = len(state.base.history) if state.base is not None else 0
    history = [*state.history[:below], *({**line, "empty_layer": True} for line in state.history[below:])]
    what = (
        f"merge {state.image_id} to {state.base.id}" if state.base is not None else f"create new from {state.image_id}"
    )
    line: dict[str, Any] = {"created": rfc3339(state.stamp * _SECOND), "comment": what}
    return replace(
        state,
        chain=(*state.chain[:base], *(layer.chain_id for layer in made)),
        diff_ids=(*state.diff_ids[:base], *(layer.diff_id for layer in made)),
        layers=(*state.layers[:base], *(layer.descriptor for layer in made)),
        history=(*history, line if made else {**line, "empty_layer": True}),
    )
