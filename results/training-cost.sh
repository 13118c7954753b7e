#!/bin/sh
# Makes results/training-cost.json, in the project's folder, with ftervit[train] installed and a C++ compiler;
# about two minutes.
set -e
here=$(dirname "$0")
python -m bench.training --json >"$here/training-cost.new" || [ $? -eq 1 ] # 1: an aim is missed; it says so
mv "$here/training-cost.new" "$here/training-cost.json"
python "$here/summary.py"
