"""Clips on disk to a student that listens: CLIPS PRESETS OUTPUT."""
# CLIPS has the folders video, audio and text, see `datasets.PairedMedia`.
# PRESETS has vit and bert; names of keras-hub in their place download them.
# It needs the extras hub, data and export.

import sys

import keras

import keras_xkd as xkd

clips, presets, output = sys.argv[1:]
video = xkd.models.video_encoder(f"{presets}/vit")
text = xkd.models.text_encoder(f"{presets}/bert")
# Small and listening to raw sound; without FFT it can be exported to ONNX.
net = keras.Sequential([keras.Input((None, 80)), keras.layers.Conv1D(32, 5, 2)])
audio = xkd.models.audio_encoder(net, front_end=xkd.layers.LogMel(fft=False))

clips = xkd.datasets.PairedMedia(manual_dir=clips, data_dir=output)
n = clips.info.features["label"].num_classes
options = {"preprocess": [video.preprocess, text.preprocess]}
train = xkd.data.load(clips, length={"video": 4, "audio": 16_000}, **options)
teacher = xkd.models.LateFusion({"video": video, "text": text}, units=n)
teacher.compile("adam", "sparse_categorical_crossentropy")
teacher.fit(train, epochs=10)

train = xkd.data.cache_teacher(teacher, train, output, overwrite=True)
teacher = xkd.layers.CachedTeacher.from_cache(output)
sound = {"audio": keras.Input((16_000,), name="audio")}
student = keras.Model(sound, keras.layers.Dense(n)(audio(sound)["features"]))
distiller = xkd.distillers.CrossModalDistiller(student=student, teacher=teacher)
distiller.compile("adam", metrics=["accuracy"])
distiller.fit(train, epochs=10)
student.save(f"{output}/student.keras")
student.export(f"{output}/student.onnx", format="onnx")
