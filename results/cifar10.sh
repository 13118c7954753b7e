#!/bin/sh
# Makes results/cifar10. Run it where cifar10/train and cifar10/test lie, class folders of photos, with
# ftervit[train,plot] installed. Stopped, it goes on. Several of these commands may run at the same time,
# on a core each, with some of --schemes; the last one then gathers what they have trained.
set -e
resume=
[ ! -e runs/cifar10/teacher/state.safetensors ] || resume=--resume
ftervit train cifar10 --phase teacher --out runs/cifar10 --preset mcu_small_96 --val-fraction 0.05 \
    --epochs 100 --batch-size 128 --lr 1.5e-3 --warmup-epochs 5 --augment strong --ramp-epochs 30 \
    --patch-drop 0.5 --precision bf16 --threads 1 $resume
ftervit compare cifar10 --out runs/cifar10-methods --teacher runs/cifar10 --ablations \
    --schemes fp32,int8,tervit,vit-1.58b,q-vit,q-vit-a8,ftervit,ftervit-s8 \
    --epochs 20 --schedule-epochs 32 --lr 1e-3 --recovery-epochs 6 --recovery-lr 1e-4 \
    --recover-from 5,10,15,20 --seeds 1,2 --batch-size 128 --augment strong --patch-drop 0.5 \
    --precision bf16 --threads 1 --plot runs/cifar10-methods/curves.svg
ftervit report runs/cifar10-methods/ftervit -o runs/cifar10-methods/report.html --probes 16 --quiet --json \
    >runs/cifar10-methods/report.json
python "$(dirname "$0")/collect.py" runs/cifar10-methods cifar10 --teacher runs/cifar10
