#!/bin/sh
# What ImageNet weights are worth: the same EfficientNet-Lite0-UNet++ trained on the nuclei data with and without them.
# About a quarter of an hour on two CPU cores for both; stopped, it goes on where it was. Prints both logs at the end.
#     tools/train_lite0.sh DATA
set -eu
data=$1
for weights in imagenet none; do
    keras-unetpp train --data "$data" --out "runs/lite0-$weights" --backbone efficientnet_lite0 \
        --encoder-weights "$weights" --width 8 --normalization standardize --crop 128 --epochs 16 --val-every 4
done
python tools/compare_runs.py runs/lite0-imagenet runs/lite0-none
