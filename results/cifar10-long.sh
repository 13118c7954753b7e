#!/bin/sh
# Makes results/cifar10-long: the fully ternary students with two and a half times the epochs, where
# cifar10.sh has trained their teacher. Stopped, it goes on.
set -e
ftervit compare cifar10 --out runs/cifar10-long --teacher runs/cifar10 --schemes ftervit,ftervit-s8 \
    --epochs 50 --schedule-epochs 80 --lr 1e-3 --recovery-epochs 15 --recovery-lr 1e-4 \
    --batch-size 128 --augment strong --patch-drop 0.5 --precision bf16 \
    --threads 1 --plot runs/cifar10-long/curves.svg
python "$(dirname "$0")/collect.py" runs/cifar10-long cifar10-long --teacher runs/cifar10
