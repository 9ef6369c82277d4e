#include "model/paper_flamingo.hpp"

namespace paper_flamingo_double_test {

using namespace flamingo;
using namespace flamingo::test;
using P = Cpu<double>;

TEST_CASE("(1) at initialisation the logits are the bare language model's, bit for bit, in double", "[paper]") {
  check_start<P>();
}
TEST_CASE("(4) a medium changes no logit before its tag, and all of its own, in double", "[paper]") {
  check_before_tag<P>();
}
TEST_CASE("(4) without self-attention a medium changes the tokens of its own φ alone, in double", "[paper]") {
  check_without_self_attention<P>();
}
TEST_CASE("(5) any cells and frames give as many latents of the decoder's width, in double", "[paper]") {
  check_sizes<P>();
}
TEST_CASE("(6) the order of a picture's cells does not matter, in double", "[paper]") { check_order<P>(); }

}  // namespace paper_flamingo_double_test
