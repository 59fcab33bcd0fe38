import keras

from keras_xkd.models.freezing import lora_layers


@keras.saving.register_keras_serializable("keras_xkd")
class LoraState(keras.layers.Layer):
    """Keeps the LoRA weights of a model in its file.

    Keras merges them into the kernels when it saves, and sets both factors to
    zero when it loads: then neither would ever have a gradient again. This
    layer writes the weights as they are, beside the merged ones. Keras loads
    what is not in the graph last.

    Args:
        model: The model, which holds this layer.
    """

    def __init__(self, model, **kwargs):
        super().__init__(**kwargs)
        # In a function, for Keras would track the model.
        self._layers_with_lora = lambda: lora_layers(model)
        self.built = True

    def save_own_variables(self, store):
        for name, variable in self._named():
            store[name] = variable

    def load_own_variables(self, store):
        for name, variable in self._named():
            if name in store.keys():
                variable.assign(store[name])

    def _named(self):
        for i, layer in enumerate(self._layers_with_lora()):
            for j, variable in enumerate(layer.weights):
                yield f"{i}_{j}", variable
