"""Pictures: of a training, of features, of students. They need matplotlib."""

__all__ = []
