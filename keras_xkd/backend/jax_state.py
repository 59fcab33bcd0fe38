class KeepsState:
    """Makes an exception in a step leave a model's variables in place.

    A mixin of `keras.Model`. Keras takes the values off the variables before a
    step and puts them back from `_jax_state`, which an exception in the first
    step would leave unset: a modality that is missing in `predict` would cost
    the weights.
    """

    def __setattr__(self, name, value):
        if name == "_jax_state":
            # Keras sets it in every step, and would look at every array in
            # it for layers and variables to track.
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def make_train_function(self, force=False):
        if self.train_function is None or force:
            super().make_train_function(force)
            self.train_function = self._keep_state(
                self.train_function, getattr(self, "check_finite", None)
            )

    def make_test_function(self, force=False):
        if self.test_function is None or force:
            super().make_test_function(force)
            self.test_function = self._keep_state(self.test_function)

    def make_predict_function(self, force=False):
        if self.predict_function is None or force:
            super().make_predict_function(force)
            self.predict_function = self._keep_state(self.predict_function)

    def _keep_state(self, function, check=None):
        def step(state, iterator):
            try:
                outputs, new_state = function(state, iterator)
            except BaseException:
                # Unless the step had begun, which used the old values up.
                values = [value for part in state for value in part]
                if not any(value.is_deleted() for value in values):
                    self._set_jax_state(state)
                    self.jax_state_sync()
                    self._jax_state_synced = False
                raise
            self._set_jax_state(new_state)
            if check is not None:
                try:
                    check(outputs)
                except ValueError:
                    self.jax_state_sync()
                    self._jax_state_synced = False
                    raise
            return outputs, new_state

        return step

    def _set_jax_state(self, state):
        names = {
            4: ("trainable", "non_trainable", "optimizer", "metrics"),
            3: ("trainable", "non_trainable", "metrics"),
            2: ("trainable", "non_trainable"),
        }[len(state)]
        self._jax_state = {
            f"{name}_variables": values
            for name, values in zip(names, state, strict=True)
        }
        self._jax_state_synced = False
