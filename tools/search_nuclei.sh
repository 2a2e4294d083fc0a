#!/bin/sh
# A search on the nuclei data under 500,000 parameters, and the fixed narrow unet++ of the same budget, trained alike.
# An hour on two CPU cores that other work shares; stopped, it goes on where it was.
#     tools/search_nuclei.sh DATA
set -eu
data=$1
recipe="--normalization standardize --epochs 6 --val-every 3 --crop 128 --batch-size 8 --crops-per-epoch 120 --learning-rate 0.003"
keras-unetpp search --data "$data" --out runs/search-nuclei --max-params 500000 --depth 3,4,5 --topology unet++,unet+ \
    --up transpose,nearest --max-trials 18 --max-minutes 60 $recipe
keras-unetpp search --data "$data" --out runs/search-nuclei-fixed --max-params 500000 --depth 4 --shares 1 \
    --max-trials 1 $recipe
