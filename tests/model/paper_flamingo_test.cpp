#include "model/paper_flamingo.hpp"

namespace paper_flamingo_test {

using namespace flamingo;
using namespace flamingo::test;
using P = Cpu<float>;

TEST_CASE("(1) at initialisation the logits are the bare language model's, bit for bit, in float", "[paper]") {
  check_start<P>();
}
TEST_CASE("(4) a medium changes no logit before its tag, and all of its own, in float", "[paper]") {
  check_before_tag<P>();
}
TEST_CASE("(4) without self-attention a medium changes the tokens of its own φ alone, in float", "[paper]") {
  check_without_self_attention<P>();
}
TEST_CASE("(5) any cells and frames give as many latents of the decoder's width, in float", "[paper]") {
  check_sizes<P>();
}
TEST_CASE("(6) the order of a picture's cells does not matter, in float", "[paper]") { check_order<P>(); }

TEST_CASE("(3) the paper's example has 8, 11 and 10 tokens before, of and after its first picture", "[paper]") {
  // "<BOS>Cute pics of my pets!<EOC><image>My puppy sitting in the grass.<EOC><image> My cat looking very dignified.
  // <EOC>" by words, the tag three pieces.
  const std::vector<int> phi = phi_of(std::vector<int>{8, 19}, 29);
  CHECK((std::count(phi.begin(), phi.end(), 0) == 8 && std::count(phi.begin(), phi.end(), 1) == 11 &&
         std::count(phi.begin(), phi.end(), 2) == 10));
}

}  // namespace paper_flamingo_test
