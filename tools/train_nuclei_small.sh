#!/bin/sh
# Makes zoo/nuclei_small from the nuclei data: about one hour on two CPU cores; stopped, it goes on where it was.
#     tools/train_nuclei_small.sh DATA
set -eu
data=$1
train="keras-unetpp train --data $data --out runs/nuclei-small --width 16 --normalization standardize --epochs 40 --batch-size 4 --val-every 4"
$train
python tools/make_zoo_entry.py runs/nuclei-small --name nuclei-small --data "$data" \
    --summary "Cell nuclei in fluorescence, stained tissue and brightfield; UNet++ L1..L4" \
    --about tools/nuclei_small.md --command "$train"
