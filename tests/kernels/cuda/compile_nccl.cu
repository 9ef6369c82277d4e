/// Training over several GPUs, compiled: nothing runs.
#include <flamingo/cuda.cuh>
#include <flamingo/dist/nccl.cuh>

template class flamingo::dist::NcclGroup<float>;
template class flamingo::dist::NcclGroup<flamingo::bfloat16>;

void split(flamingo::Context<flamingo::Cuda<flamingo::bfloat16>>& ctx, const flamingo::dist::NcclProcesses& processes) {
  flamingo::dist::join(ctx, processes);
}
