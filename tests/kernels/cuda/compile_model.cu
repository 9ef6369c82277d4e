/// A whole Flamingo on Cuda as a host would write it, trained and asked in bf16, compiled by nvcc: nothing runs.
#include <flamingo/cuda.cuh>
#include <flamingo/infer/serve.hpp>
#include <flamingo/training.hpp>
#if __has_include(<nccl.h>)
#include <flamingo/dist/nccl.cuh>
#endif

namespace flamingo {

struct Given {};  ///< features: there is no encoder

/// Flamingo-3B's shapes, of another decoder.
constexpr FlamingoConfig<Given, Llama> config{
    .resampler = {.vision_dim = 1536, .dim = 1536, .heads = 16, .head_dim = 96, .frames = 8},
    .lm = {.dim = 2048, .layers = 24, .heads = 16, .kv_heads = 4, .hidden = 8192, .vocabulary = 32000, .added = 2}};

using P = Cuda<bfloat16>;
using Lm = Store<model::Flamingo<config, P>::Decoder, P>;
using ConnectorTrainer = Trainer<config, P, Lm::Views>;

UpdateReport update(ConnectorTrainer& trainer, const std::vector<DatasetStream<bfloat16>>& mixture) {
  return trainer.update(mixture);
}

using Model = model::Flamingo<config, P>;
using Connector = RoundedStore<Model::Connect, P>;
using Decoder = RoundedStore<Model::Decoder, P>;
using Answers = Engine<Model, Connector::Views, Decoder::Views>;

CachedMedium show(Answers& engine, const Rows<P, 1536>& features) { return engine.add_medium(features); }
std::vector<Generated> write(Answers& engine, std::span<TextState> states) { return generate(engine, states); }
bool serve(Server<Answers>& server) { return server.step(); }

#if __has_include(<nccl.h>)
template class dist::NcclGroup<float>;
template class dist::NcclGroup<bfloat16>;
void split(Context<P>& ctx, const dist::NcclProcesses& processes) { dist::join(ctx, processes); }
#endif

}  // namespace flamingo
