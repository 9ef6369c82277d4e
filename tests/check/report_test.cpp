#include "check/report.hpp"

#include <catch2/catch.hpp>
#include <limits>
#include <span>
#include <vector>

#include "io/files.hpp"

using namespace flamingo;
using namespace flamingo::test;

namespace {

using Numbers = std::vector<float>;

/// A golden file with a large gradient, a small one and a zero one, an output, and an input.
struct File {
  tests::TemporaryFolder folder;
  std::filesystem::path path = folder.path() / "golden.safetensors";
  Numbers large{3, 4}, small{3e-3f, 4e-3f}, zero{3e-8f, 4e-8f}, out{1, 2, 2};

  explicit File(const io::Metadata& metadata = {}) {
    const auto tensor = [](const char* name, const Numbers& numbers) {
      return io::TensorView{
          name, io::DType::f32, {static_cast<std::int64_t>(numbers.size())}, std::as_bytes(std::span(numbers))};
    };
    io::write_safetensors(
        path,
        std::vector<io::TensorView>{tensor("grad.large", large), tensor("grad.small", small),
                                    tensor("grad_in.zero", zero), tensor("out.y", out), tensor("in.x", out)},
        metadata);
  }
};

}  // namespace

TEST_CASE("a report agrees once everything was compared and lies near enough", "[check]") {
  const File f;
  Report report{io::Safetensors(f.path)};
  CHECK(report.left().size() == 4);
  CHECK_FALSE(report.agrees());
  report.output("out.y", Numbers{1, 2, 2.00002f}, f.out);  // 2e-5 of a norm of 3
  CHECK(report.outputs == Approx(2e-5 / 3).epsilon(0.01));
  report.gradient("grad.large", Numbers{3, 4.0004f}, f.large);
  CHECK(report.gradients == Approx(8e-5).epsilon(0.01));
  report.gradient("grad.small", f.small, f.small);
  CHECK(report.worst == "grad.large");
  CHECK_FALSE(report.agrees());
  CHECK_THAT(report.text(), Catch::Contains("not compared: 1 from grad_in.zero on"));
  report.skip("grad_in.zero");
  CHECK(report.agrees());
}

TEST_CASE("what lies too far, or is no number, or another tensor, does not agree", "[check]") {
  const File f;
  const auto compare = [&](const Numbers& out, const Numbers& large) {
    Report report{io::Safetensors(f.path)};
    report.output("out.y", out, f.out);
    report.gradient("grad.large", large, f.large);
    report.skip("grad.small");
    report.skip("grad_in.zero");
    return report.agrees();
  };
  constexpr float none = std::numeric_limits<float>::quiet_NaN();
  CHECK(compare(f.out, f.large));
  CHECK_FALSE(compare({1, 2, 2.00004f}, f.large));
  CHECK_FALSE(compare({1, none, 2}, f.large));
  CHECK_FALSE(compare({1, 2}, f.large));
  CHECK_FALSE(compare(f.out, {3, 4.001f}));
  CHECK_FALSE(compare(f.out, {none, none}));
}

TEST_CASE("small gradients are held to a share of the largest, zero ones to a larger share", "[check]") {
  const File f;
  const auto error = [&](const char* name, const Numbers& ours, const Numbers& theirs) {
    Report report{io::Safetensors(f.path)};
    report.gradient(name, ours, theirs);
    return report.gradients;
  };
  CHECK(error("grad.small", {3e-3f, 4.0004e-3f}, f.small) == Approx(4e-7 / 5e-3).epsilon(0.01));
  CHECK(error("grad_in.zero", {0, 0}, f.zero) == Approx(5e-8 / 5e-2).epsilon(0.01));
  CHECK(error("grad_in.zero", {1e-4f, 0}, f.zero) > 1e-4);
}

TEST_CASE("a file's own float64_check widens what gradients may differ by, not outputs", "[check]") {
  const File f(io::Metadata{{"float64_check", R"({"worst_gradient_error_relative_to_largest_in_its_tensor": 1e-3})"}});
  const Report report{io::Safetensors(f.path)};
  CHECK(report.gradient_bound() == Approx(4e-3));
  CHECK(report.output_bound() == 1e-5);
}

TEST_CASE("other tokens and notes do not agree", "[check]") {
  Report tokens, noted;
  tokens.same("gen.greedy.tokens", std::vector{1, 2}, std::vector{1, 2});
  CHECK(tokens.agrees());
  tokens.same("gen.greedy.tokens", std::vector{1, 2}, std::vector{1, 2, 3});
  CHECK_FALSE(tokens.tokens);
  CHECK_FALSE(tokens.agrees());
  noted.note("no eos");
  CHECK_FALSE(noted.agrees());
  CHECK_THAT(noted.text(), Catch::Contains("wrong: no eos"));
}
