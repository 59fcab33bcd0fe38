"""A worker without a backend, for tests of those who talk to workers."""

import json
import os
import sys
import time

BACKEND = os.environ.get("KERAS_BACKEND", "jax")
SPEED = {"jax": 1e-3, "tensorflow": 2e-3, "torch": 4e-3}[BACKEND]


class Fake:
    done = 0

    def describe(self):
        device = {"kind": "cpu", "name": "cpu", "count": 1}
        return {"backend": BACKEND, "version": "1.0", "device": device}

    def prepare(self, **arguments):
        self.done = 0
        return {
            "seconds": 0.5,
            "parameters": 7,
            "batch_size": 4,
            "host_memory": 2**20,
            "asked": arguments,
        }

    def train(self, steps):
        self.done += steps
        return {
            "steps": steps,
            "seconds": SPEED * steps,
            # Apart by a thousandth from step to step.
            "loss": 1 / self.done + SPEED * (self.done - 1),
        }

    def evaluate(self):
        return {
            "accuracy": 0.5 if BACKEND == "jax" else 0.75,
            "host_memory": 3 * 2**20,
            "device_memory": None,
        }

    def where(self):
        return {"pid": os.getpid(), "cores": len(os.sched_getaffinity(0))}

    def fail(self):
        raise ValueError("no such thing")

    def die(self, status):
        print("the cause\n" * 3, "of it", file=sys.stderr)
        os._exit(status)

    def kill(self):
        os.kill(os.getpid(), 9)

    def sleep(self):
        time.sleep(60)

    def stammer(self):
        os.write(1, b'{"half": ')
        os._exit(0)


def main():
    fake = Fake()
    # What happens instead of an action: "torch/train/die" for example.
    instead = dict(
        place.rsplit("/", 1) for place in os.environ.get("FAKE", "").split()
    )
    for line in sys.stdin:
        request = json.loads(line)
        action = request.pop("action")
        other = instead.get(f"{BACKEND}/{action}")
        if other == "die":
            fake.die(3)
        action = other or action
        try:
            answer = getattr(fake, action)(**({} if other else request))
        except ValueError as error:
            answer = {"error": f"ValueError: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
