/// A table of names on a peer's own file: everything in it is read, and what is written through the table is the file
/// again.
#pragma once
#include <catch2/catch.hpp>
#include <cstring>
#include <string>

#include <flamingo/model/weights.hpp>

#include "support/platforms.hpp"

namespace flamingo::test {

/// The tensors of `file` that begin with `prefix`, but those that the table ignores and another part's.
template <class Layer, Platform P = Cpu<float>>
void check_round_trip(const io::Safetensors& file, const TensorTable& names, const std::string& prefix = "",
                      const std::string& other = "nothing") {
  const TensorTable table = names.within("", prefix);
  Store<Layer, P> store;
  load_numbers<Layer>(file, store.views, table);
  TensorWriter writer(io::DType::f32);
  writer.add<Layer>(store.views, table);
  const auto written = writer.tensors();
  std::size_t theirs = 0;
  for (const io::TensorView& tensor : file.tensors())
    theirs += tensor.name.starts_with(prefix) && !tensor.name.starts_with(other) && !table.ignores(tensor.name);
  CHECK(written.size() == theirs);
  for (const io::TensorView& ours : written) {
    INFO(ours.name);
    const io::TensorView& tensor = file.at(ours.name);
    CHECK(ours.shape == tensor.shape);
    REQUIRE(ours.bytes.size() == tensor.bytes.size());
    CHECK(std::memcmp(ours.bytes.data(), tensor.bytes.data(), ours.bytes.size()) == 0);
  }
}

}  // namespace flamingo::test
