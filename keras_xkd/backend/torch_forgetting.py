"""Networks that forget what their layers made as soon as nobody reads it.

A functional network of Keras holds the outputs of all its layers until its
call ends. Where a graph for the gradient holds them anyway that costs nothing.
A frozen teacher has none, and would take the memory of all its layers instead
of that of one.
"""

import collections
import contextlib
import inspect

import keras
from keras.src.ops.function import Function


@contextlib.contextmanager
def forgetting():
    """Functional networks called inside forget; results are the same."""
    if not _KNOWN:
        yield  # Another version of Keras: more memory, and nothing else.
        return
    before = Function._run_through_graph
    Function._run_through_graph = _run_through_graph
    try:
        yield
    finally:
        Function._run_through_graph = before


def _run_through_graph(
    self, inputs, operation_fn=lambda operation: operation, call_fn=None
):
    nodes = [
        node
        for _, level in sorted(self._nodes_by_depth.items(), reverse=True)
        for node in level
        if node.operation and not node.is_input
    ]
    readers = collections.Counter(
        key for node in nodes for key in {id(x) for x in node.input_tensors}
    )
    readers.update({id(x) for x in self.outputs})
    known = dict(zip(map(id, self.inputs), keras.tree.flatten(inputs)))
    for node in nodes:
        reads = {id(x) for x in node.input_tensors}
        if not reads <= known.keys():
            continue  # An input was left out, which Keras allows.
        _run_node(node, known, readers, operation_fn, call_fn)
        readers.subtract(reads)
        for key in reads:
            if not readers[key]:
                del known[key]
    missing = [x.name for x in self.outputs if id(x) not in known]
    if missing:
        raise ValueError(f"Outputs {missing} are not connected to the inputs.")
    outputs = [known[id(x)] for x in self.outputs]
    return keras.tree.pack_sequence_as(self._outputs_struct, outputs)


def _run_node(node, known, readers, operation_fn, call_fn):
    # A function of its own, so that no name here holds on to a tensor.
    args, kwargs = node.arguments.fill_in(known)
    operation = operation_fn(node.operation)
    if call_fn is None:
        outputs = operation(*args, **kwargs)
    else:
        outputs = call_fn(operation, *args, **kwargs)
    for symbol, value in zip(node.outputs, keras.tree.flatten(outputs)):
        if readers[id(symbol)]:
            known[id(symbol)] = value


def _arguments(function):
    return [*inspect.signature(function).parameters]


# Whether Keras has the method that this one stands in for.
_KNOWN = hasattr(Function, "_run_through_graph") and (
    _arguments(Function._run_through_graph) == _arguments(_run_through_graph)
)
