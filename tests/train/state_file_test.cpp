#include <flamingo/train/state_file.hpp>

#include <catch2/catch.hpp>

#include "io/files.hpp"
#include "train/language_model_case.hpp"

namespace state_file_test {

using namespace flamingo;
using namespace flamingo::test;
using flamingo::tests::error_of;
using flamingo::tests::read_bytes;
using flamingo::tests::TemporaryFolder;

namespace {

using Case = LanguageModelCase<Cpu<float>>;

bool same(const Case& a, const Case& b) {
  return a.trainer.weights.flat == b.trainer.weights.flat &&
         a.trainer.optimizer.first.flat == b.trainer.optimizer.first.flat &&
         a.trainer.optimizer.second.flat == b.trainer.optimizer.second.flat &&
         a.trainer.optimizer.steps() == b.trainer.optimizer.steps();
}

}  // namespace

TEST_CASE("a run that is stopped and resumed goes on bit for bit", "[state_file]") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "state.safetensors";
  Case straight, stopped;
  for (long step = 1; step <= 5; ++step) straight.trainer.update(straight.batch(step));
  for (long step = 1; step <= 3; ++step) stopped.trainer.update(stopped.batch(step));
  save_state(path, stopped.trainer.weights, stopped.trainer.optimizer, {{"lm", "tiny"}});
  Case resumed;
  long step = load_state(path, resumed.trainer.weights, resumed.trainer.optimizer, {{"lm", "tiny"}});
  CHECK(step == 3);
  while (++step <= 5) resumed.trainer.update(resumed.batch(step));
  CHECK(same(resumed, straight));
}

TEST_CASE("a state that does not fit is refused, and nothing has changed", "[state_file]") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "state.safetensors";
  Case c, untouched;
  c.trainer.update(c.batch(1));
  save_state(path, c.trainer.weights, c.trainer.optimizer, {{"lm", "tiny"}});
  const auto error = [&](const std::filesystem::path& file, const io::Metadata& metadata = {}) {
    const std::string text =
        error_of([&] { load_state(file, untouched.trainer.weights, untouched.trainer.optimizer, metadata); });
    CHECK(same(untouched, Case()));
    CHECK_THAT(text, Catch::Contains(file.string()));
    return text;
  };
  CHECK_THAT(error(path, {{"lm", "large"}}), Catch::EndsWith(": its lm is tiny, expected large"));
  const std::string whole = read_bytes(path);
  CHECK_THAT(error(folder.write("cut.safetensors", whole.substr(0, whole.size() - 1))),
             Catch::StartsWith("[safetensors] "));
  TensorWriter writer(io::DType::f32);
  writer.add<Case::Decoder>(c.trainer.weights.views, detail::after("weights."));
  const auto partial = folder.path() / "partial.safetensors";
  writer.save(partial, {{"step", "3"}});
  CHECK_THAT(error(partial), Catch::StartsWith("[load] ") && Catch::Contains("missing 'first.embedding'"));
  writer.save(partial);
  CHECK_THAT(error(partial), Catch::EndsWith(" has no 'step' in its metadata"));
  writer.save(partial, {{"step", "3x"}});
  CHECK_THAT(error(partial), Catch::EndsWith(": its step is '3x', expected a number of steps"));
}

}  // namespace state_file_test
