// oneDNN's product. It chooses how w lies, once.
#include <omp.h>

#include <dnnl.hpp>
#include <memory>

#include "trial.hpp"

namespace flamingo::bench {

std::function<void()> onednn(const Product& p, int threads) {
  using Memory = dnnl::memory;
  omp_set_num_threads(threads);
  const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(cpu);
  const auto described = [](Memory::dim rows, Memory::dim columns, Memory::format_tag tag) {
    return Memory::desc({rows, columns}, Memory::data_type::f32, tag);
  };
  const auto x = described(p.M, p.K, Memory::format_tag::ab), y = described(p.M, p.N, Memory::format_tag::ab),
             stored = described(p.K, p.N, Memory::format_tag::ba);
  const dnnl::matmul::desc wanted(x, described(p.K, p.N, Memory::format_tag::any), y);
  const dnnl::matmul::primitive_desc chosen(wanted, cpu);
  Memory from(stored, cpu, const_cast<float*>(p.w)), w(chosen.weights_desc(), cpu);
  dnnl::reorder(from, w).execute(stream, from, w);
  stream.wait();
  const dnnl::matmul product(chosen);
  const Memory in(x, cpu, const_cast<float*>(p.x)), out(y, cpu, p.y);
  return [=]() mutable {
    product.execute(stream, {{DNNL_ARG_SRC, in}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_DST, out}});
    stream.wait();
  };
}

}  // namespace flamingo::bench
