#include <flamingo/model/tensor_map.hpp>

#include <catch2/catch.hpp>

#include "io/files.hpp"

namespace tensor_map_test {

using namespace flamingo;
using flamingo::tests::error_of;

namespace {
Spec matrix(const char* name) { return matrix_spec(name, 6, 5, Init::zero()); }
}  // namespace

TEST_CASE("a rule's star is a number, and may be another one in the file", "[tensor_map]") {
  const TensorTable table({{.ours = "blocks.*.norm", .theirs = "h.*.ln"},
                           {.ours = "gated.*.gate", .theirs = "layers.*.alpha", .numbers = {3, 7, 11}},
                           {.ours = "embedding", .theirs = "wte"}},
                          {"h.*.attn.bias", "lm_head"});
  CHECK(table.place(matrix("blocks.12.norm")).name == "h.12.ln");
  CHECK(table.place(matrix("gated.2.gate")).name == "layers.11.alpha");
  CHECK(table.place(matrix("embedding")).name == "wte");
  for (const char* unknown : {"blocks.x.norm", "blocks..norm", "blocks.1.norms", "gated.3.gate", "embeddings",
                              "blocks.99999999999999999999.norm", ""}) {
    INFO(unknown);
    CHECK(error_of([&] { table.place(matrix(unknown)); }) ==
          std::string("[load] no rule says where '") + unknown + "' lies in the file");
  }
  CHECK(table.ignores("h.31.attn.bias"));
  CHECK(table.ignores("lm_head"));
  CHECK_FALSE(table.ignores("h.31.attn.biases"));
}

TEST_CASE("parts of a whole have their rules under a prefix", "[tensor_map]") {
  const TensorTable lm({{.ours = "norm", .theirs = "ln_f"}}, {"mask"}), vision({{.ours = "norm", .theirs = "post"}});
  const TensorTable whole = lm.within("lm.", "model.text.").with(vision.within("vision.", "model.image."));
  CHECK(whole.place(matrix("lm.norm")).name == "model.text.ln_f");
  CHECK(whole.place(matrix("vision.norm")).name == "model.image.post");
  CHECK(whole.ignores("model.text.mask"));
  CHECK_FALSE(whole.ignores("mask"));
}

TEST_CASE("rows of a part of a tensor", "[tensor_map]") {
  const TensorPlace whole{.name = "w"}, third{.name = "w", .first = 12},
      heads{.name = "w", .first = 2, .group = 2, .stride = 6};
  CHECK(whole.row(5) == 5);
  CHECK(third.row(5) == 17);
  CHECK(heads.row(0) == 2);
  CHECK(heads.row(1) == 3);
  CHECK(heads.row(2) == 8);
  CHECK(heads.row(5) == 15);
}

TEST_CASE("without rules names are as they are, or as a function says", "[tensor_map]") {
  CHECK(TensorTable().place(matrix("a.b")).name == "a.b");
  CHECK(TensorTable([](std::string_view name) { return "x." + std::string(name); }).place(matrix("a")).name == "x.a");
}

}  // namespace tensor_map_test
