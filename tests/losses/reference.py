"""The losses as explicit NumPy loops in float64, and their derivatives."""

import numpy as np


def softmax(z):
    e = np.exp(z - np.max(z))
    return e / e.sum()


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def kl(p, q):
    return sum(a * np.log(a / b) for a, b in zip(p, q))


def unit(x):
    return np.array([row / np.sqrt(np.sum(row**2)) for row in x])


def smooth_l1(x):
    return x * x / 2 if abs(x) < 1 else abs(x) - 0.5


def soft_targets(t, s, temperature=4.0):
    return np.array(
        [
            temperature**2
            * kl(softmax(a / temperature), softmax(b / temperature))
            for a, b in zip(t, s)
        ]
    )


def soft_labels(t, s, temperature=4.0):
    values = []
    for a, b in zip(t, s):
        value = 0
        for x, y in zip(a, b):
            p, q = sigmoid(x / temperature), sigmoid(y / temperature)
            value += kl([p, 1 - p], [q, 1 - q])
        values.append(temperature**2 * value)
    return np.array(values)


def decoupled(t, s, labels, alpha=1.0, beta=8.0, temperature=4.0):
    values = []
    for a, b, label in zip(t, s, labels):
        p, q = softmax(a / temperature), softmax(b / temperature)
        target = kl([p[label], 1 - p[label]], [q[label], 1 - q[label]])
        p, q = np.delete(p, label), np.delete(q, label)
        others = kl(p / p.sum(), q / q.sum())
        values.append(temperature**2 * (alpha * target + beta * others))
    return np.array(values)


def info_nce(t, s, temperature=0.07, symmetric=True):
    t, s = unit(t), unit(s)
    values = []
    for i in range(len(t)):
        by_student = softmax(np.array([s[i] @ row for row in t]) / temperature)
        by_teacher = softmax(np.array([t[i] @ row for row in s]) / temperature)
        value = -np.log(by_student[i])
        if symmetric:
            value = (value - np.log(by_teacher[i])) / 2
        values.append(value)
    return np.array(values)


def nt_xent(one, two, temperature=0.1):
    rows = [*unit(one), *unit(two)]
    n = len(one)
    values = np.zeros(n)
    for k, row in enumerate(rows):
        total = 0
        for other, candidate in enumerate(rows):
            if other != k:
                total += np.exp(row @ candidate / temperature)
        partner = np.exp(row @ rows[(k + n) % (2 * n)] / temperature)
        values[k % n] -= np.log(partner / total) / 2
    return values


def similarity_distribution(t, s, tau_t=0.05, tau_s=0.1, keys=()):
    t, s = unit(t), unit(s)
    candidates = [*t, *keys]
    values = []
    for a, b in zip(t, s):
        p = softmax(np.array([a @ c for c in candidates]) / tau_t)
        q = softmax(np.array([b @ c for c in candidates]) / tau_s)
        values.append(-sum(x * np.log(y) for x, y in zip(p, q)))
    return np.array(values)


def relational_distance(t, s):
    def distances(x):
        n = len(x)
        d = np.zeros((n, n))
        for i in range(n):
            for j in range(n):
                d[i, j] = np.sqrt(np.sum((x[i] - x[j]) ** 2))
        return d / d[d > 0].mean()

    a, b = distances(t), distances(s)
    n = len(t)
    return np.array(
        [
            sum(smooth_l1(b[i, j] - a[i, j]) for j in range(n)) / n
            for i in range(n)
        ]
    )


def relational_angle(t, s):
    def side(x, i, j):
        return np.zeros_like(x[i]) if i == j else unit([x[i] - x[j]])[0]

    n = len(t)
    values = np.zeros(n)
    for j in range(n):
        for i in range(n):
            for k in range(n):
                a = side(t, i, j) @ side(t, k, j)
                b = side(s, i, j) @ side(s, k, j)
                values[j] += smooth_l1(b - a) / n**2
    return values


def probabilistic_transfer(t, s):
    def neighbourhood(x, i):
        x = unit(x)
        k = np.array([(x[i] @ row + 1) / 2 for row in x])
        return k / k.sum()

    return np.array(
        [kl(neighbourhood(t, i), neighbourhood(s, i)) for i in range(len(t))]
    )


def normalizer(anchors, others, samples, temperature):
    """Z: the mean exponential of all pairs times the number of samples."""
    total = [np.exp(a @ b / temperature) for a in anchors for b in others]
    return np.mean(total) * samples


def noise_contrast(u, positive, negatives, z, samples, temperature):
    """One direction for one anchor, by the fraction of the paper."""

    def h(v):
        model = np.exp(u @ v / temperature) / z
        return model / (model + len(negatives) / samples)

    return -np.log(h(positive)) - sum(np.log(1 - h(v)) for v in negatives)


def contrastive_representation(t, s, temperature=0.07, z=None):
    t, s = unit(t), unit(s)
    n = len(t)
    if z is None:
        z = normalizer(s, t, n, temperature)
    values = []
    for i in range(n):
        value = 0
        for u, v in ((s, t), (t, s)):
            others = [v[j] for j in range(n) if j != i]
            value += noise_contrast(u[i], v[i], others, z, n, temperature)
        values.append(value)
    return np.array(values)


def numeric_gradient(fn, x, step=1e-6):
    """Central differences of a scalar function of one array."""
    x = np.array(x, "float64")
    grad = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[index] += step
        behind[index] -= step
        grad[index] = (fn(ahead) - fn(behind)) / (2 * step)
    return grad
