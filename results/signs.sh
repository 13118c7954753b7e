#!/bin/sh
# Makes results/signs. Run it where the class folders of the Sign Language Digits dataset lie as `signs`
# (ardamavi/Sign-Language-Digits-Dataset), with ftervit[train,plot] installed. Stopped, it goes on.
# Consecutive photos are mostly one student's: blocks of forty stay together.
set -e
ftervit compare signs --out runs/signs-methods --ablations \
    --schemes fp32,int8,tervit,vit-1.58b,q-vit,q-vit-a8,ftervit,ftervit-s8 \
    --split groups:40 --guide-epochs 60 --teacher-epochs 200 --teacher-lr 1e-3 \
    --epochs 80 --schedule-epochs 128 --lr 1e-3 --recovery-epochs 20 --recovery-lr 1e-4 \
    --recover-from 20,40,60,80 --batch-size 32 --augment strong --patch-drop 0.5 --precision bf16 \
    --threads 1 --plot runs/signs-methods/curves.svg
ftervit report runs/signs-methods/ftervit -o runs/signs-methods/report.html --probes 16 --quiet --json \
    >runs/signs-methods/report.json
python "$(dirname "$0")/collect.py" runs/signs-methods signs
