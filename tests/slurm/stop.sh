#!/usr/bin/env bash
# End what tests/slurm/start.sh FOLDER has started.
set -uo pipefail
export SLURM_CONF="$1/slurm.conf"
scancel --user="$(id -un)"
for daemon in slurmctld slurmd munged; do
    pid=$(cat "$1/$daemon.pid" 2>/dev/null) && kill "$pid" && tail --pid="$pid" -f /dev/null
done
