# Sourced before every test: what Open MPI needs here, and where the data is.
# More ranks than cores share the cores, so a waiting rank gives its core away.
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_pml=ob1
# With its default way to store them PMIx has crashed where many ranks start on busy cores.
export PMIX_MCA_gds=hash
if [ "$(id -u)" = 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
export ADAMIX_DATA="${ADAMIX_DATA:-$ADAMIX_SOURCE/../shared/data}"
# Tests run side by side: a waiting thread must not keep a core from the others.
export OMP_WAIT_POLICY=passive
