"""Architecture search and ablation of gated image classifiers, measured by frequency band.

The measuring core (`networks`, `experiment`, `models`, `data`, `evaluate`, `train`, `bands`,
`latency`) can be used alone, in a notebook or on a bare GPU machine. It needs only these packages
and their dependencies:

    torch           networks, training, evaluation, timing
    torchvision     transforms of streamed images; CIFAR
    timm            layers, models, transforms of streamed images; the reference network
    numpy           images and labels
    pillow          decoding
    filelock        decode cache: one writer
    platformdirs    decode cache: the user's cache folder
    psutil          timing: load of other processes
    safetensors     files of weights
    pyarrow         data set `parquet` only
    nvidia-ml-py    timing: clocks and load of a GPU; optional

The cost of a plain timm model (`measured_cost`) needs fvcore as well.
"""

from __future__ import annotations

__version__ = "0.1.0"
