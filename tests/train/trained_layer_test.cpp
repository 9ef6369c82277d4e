#include <flamingo/train/trained_layer.hpp>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include <flamingo/cpu.hpp>
#include <flamingo/model/vision/encoder.hpp>
#include <flamingo/train/trainer.hpp>

#include "support/layer.hpp"

namespace trained_layer_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

using P = Cpu<double>;

constexpr FlamingoConfig<Vit, Llama> config{
    .vision = {.image = 4, .patch = 2, .dim = 5, .layers = 1, .heads = 1, .hidden = 7, .class_token = false},
    .resampler = {.dim = 5,
                  .latents = 2,
                  .layers = 1,
                  .heads = 1,
                  .head_dim = 3,
                  .widening = 1,
                  .activation = Activation::gelu,
                  .frames = 2},
    .xattn = {.every = 2, .offset = 1, .heads = 1, .head_dim = 3, .widening = 1, .activation = Activation::gelu},
    .lm = {.dim = 6,
           .layers = 2,
           .heads = 1,
           .kv_heads = 1,
           .head_dim = 4,
           .hidden = 7,
           .vocabulary = 9,
           .added = 2,
           .context = 16}};
constexpr auto tied = [] {
  auto c = config;
  c.lm.tied = true;
  return c;
}();

using Batch = TrainingBatch<double>;

/// Two documents, one with an image and one with a clip of two frames, as pixels; added ids are read and asked for.
Batch pictures() {
  Batch b;
  b.media = {{0, 4, 1, 0}, {4, 8, 2, 0}};
  for (int i = 0; i < 3; ++i) b.pictures.push_back({16 * i, 4, 4});
  Random draw(3);
  for (int i = 0; i < 3 * 48; ++i) b.pixels.push_back(2 * static_cast<double>(draw.uniform()) - 1);
  b.sequences = {{.ids = {10, 3, 1, 9}, .phi = {1, 1, 1, 1}, .targets = {3, 1, 9, -1}, .first_medium = 0, .media = 1},
                 {.ids = {2, 10, 7}, .phi = {0, 1, 1}, .targets = {10, 7, 9}, .first_medium = 1, .media = 1}};
  return b;
}
/// The same documents with features drawn in place of pictures.
Batch features() {
  Batch b = pictures();
  Random draw(5);
  for (int i = 0; i < 12 * 5; ++i) b.features.push_back(2 * static_cast<double>(draw.uniform()) - 1);
  b.pixels.clear();
  b.pictures.clear();
  return b;
}
Batch text() {
  Batch b;
  b.sequences = {{.ids = {2, 5, 8, 1, 9}, .phi = {0, 0, 0, 0, 0}, .targets = {5, 8, 1, 9, 4}}};
  return b;
}

/// The gradient of a pass against differences, for every parameter that is trained.
template <class Trains>
void check_differences(Trains& trainer, const Batch& batch) {
  trainer.weights = drawn<typename Trains::Layer, P>(53);
  trainer.gradients.clear();
  trainer.pass(batch, 0.75);
  check_weight_directions(trainer.weights, trainer.gradients, [&] { return 0.75 * trainer.pass(batch, 0).loss; });
}

struct Machine {
  Context<P> ctx{1, std::size_t{1} << 24};
  Store<DecoderOf<config.lm, P>, P> lm = drawn<DecoderOf<config.lm, P>, P>(41);
  Store<DecoderOf<tied.lm, P>, P> tied_lm = drawn<DecoderOf<tied.lm, P>, P>(41);
};

template <class Layer>
std::vector<std::string> names() {
  std::vector<std::string> all;
  auto add = [&](const Spec& spec) { all.emplace_back(std::string_view(spec.name)); };
  Layer::each(add);
  return all;
}
bool any_begins(const std::vector<std::string>& names, std::string_view prefix) {
  for (const std::string& name : names)
    if (name.starts_with(prefix)) return true;
  return false;
}

}  // namespace

TEST_CASE("the connector is trained alone unless more is asked for", "[trainer]") {
  STATIC_REQUIRE(std::same_as<TrainedOf<config, P, TrainedParts{}>, model::Connector<config, P>>);
  const auto all = names<TrainedOf<config, P, TrainedParts{.lm = true, .vision = true}>>();
  CHECK((any_begins(all, "resampler.") && any_begins(all, "gated.0.") && any_begins(all, "lm.blocks.1.") &&
         any_begins(all, "vision.blocks.0.")));
  const auto rows = names<TrainedOf<config, P, TrainedParts{.added_rows = true}>>();
  CHECK((rows.back() == "lm.added_output" && rows[rows.size() - 2] == "lm.added"));
  CHECK(names<TrainedOf<tied, P, TrainedParts{.added_rows = true}>>().back() == "lm.added");
}

TEST_CASE("parts have rates of their own", "[trainer]") {
  const auto group = groups_of(0.1, 0.5);
  const auto of = [&](const char* name) { return group(vector_spec(name, 1, Init::zero())); };
  CHECK((of("resampler.latents").rate == 1 && of("resampler.latents").decay == 0));
  CHECK((of("gated.0.norm.scale").rate == 1 && of("gated.0.norm.scale").decay == 0.1));
  CHECK((of("lm.added").rate == 0.1 && of("vision.patch").rate == 0.5 && of("vision.patch").decay == 0.1));
}

TEST_CASE("an encoder and added rows learn in the step: gradients are those of differences", "[trainer]") {
  Machine m;
  Trainer<config, P, decltype(m.lm)::Views, TrainedParts{.added_rows = true, .vision = true}> trainer(m.ctx, m.lm.views,
                                                                                                      43, {});
  check_differences(trainer, pictures());
  {
    Context<P> ctx(1, std::size_t{1} << 26);
    decltype(trainer) again(ctx, m.lm.views, 43, {}, {}, {.recompute = true});
    again.weights.flat = trainer.weights.flat;
    trainer.gradients.clear();
    CHECK(trainer.pass(pictures(), 1).loss == again.pass(pictures(), 1).loss);
    CHECK(again.gradients.flat == trainer.gradients.flat);
  }
  CHECK((m.ctx.arena().kept() == 0 && m.ctx.arena().scratched() == 0));
  Batch wrong = pictures();
  wrong.pictures.pop_back();
  CHECK_THROWS_WITH(trainer.pass(wrong, 0),
                    Catch::Contains("the batch's pictures give 8 feature rows, its media have 12"));
  CHECK_THROWS_WITH(trainer.pass(features(), 0), Catch::Contains("whole pixels of 3 colours and no features"));
}

TEST_CASE("a tied row learns where it is read and where it is written", "[trainer]") {
  Machine m;
  Trainer<tied, P, decltype(m.tied_lm)::Views, TrainedParts{.added_rows = true}> trainer(m.ctx, m.tied_lm.views, 43,
                                                                                         {});
  check_differences(trainer, features());
}

TEST_CASE("a whole decoder learns, by pictures and by text alone", "[trainer]") {
  Machine m;
  Trainer<config, P, Nothing, TrainedParts{.lm = true}> trainer(m.ctx, 43, {});
  check_differences(trainer, features());
  check_differences(trainer, text());
  auto check = [](const Spec& spec, const auto& g) {  // a text has no media to teach their layers
    INFO(std::string(std::string_view(spec.name)));
    const std::string_view name = spec.name;
    if (name.starts_with("resampler") || name.find("gated.0.attention") == 0)
      CHECK(std::all_of(g.data, g.data + spec.size(), [](double x) { return x == 0; }));
    else if (name.starts_with("lm.blocks"))
      CHECK(std::any_of(g.data, g.data + spec.size(), [](double x) { return x != 0; }));
  };
  decltype(trainer)::Layer::each(check, trainer.gradients.views);
}

TEST_CASE("datasets make updates together, in turn, or as one", "[trainer]") {
  Machine m;
  using Trains = Trainer<tied, P, decltype(m.tied_lm)::Views, TrainedParts{.added_rows = true}>;
  const std::vector<DatasetStream<double>> mixture{{"shown", 0.5, [](long) { return features(); }},
                                                   {"told", 2, [](long) { return text(); }}};
  const auto gradients_after = [&](Mixing mixing, int steps) {
    Trains trainer(m.ctx, m.tied_lm.views, 43, {.peak = 0});
    trainer.weights = drawn<Trains::Layer, P>(53);
    UpdateReport report;
    for (int i = 0; i < steps; ++i) report = trainer.update(mixture, mixing);
    return std::pair(trainer.gradients.flat, report);
  };
  const auto pass_over = [&](const Batch& batch, double lambda) {
    Trains trainer(m.ctx, m.tied_lm.views, 43, {});
    trainer.weights = drawn<Trains::Layer, P>(53);
    const LossReport report = trainer.pass(batch, lambda);
    return std::pair(trainer.gradients.flat, report);
  };
  const auto [first, one] = gradients_after(Mixing::round_robin, 1);
  CHECK((one.datasets.size() == 1 && first == pass_over(features(), 0.5).first));
  CHECK(gradients_after(Mixing::round_robin, 2).first == pass_over(text(), 2).first);
  CHECK(gradients_after(Mixing::round_robin, 3).first == first);

  Batch all = features();
  all.append(text());
  all.append(features());
  CHECK((all.media.size() == 4 && all.media[2].first == 12 && all.sequences[3].first_medium == 2));
  const auto twice = pass_over(all, 1).second;
  CHECK(twice.tokens == 17);
  const auto shown = pass_over(features(), 0).second, told = pass_over(text(), 0).second;
  CHECK(twice.loss == Approx((2 * 6 * shown.loss + 5 * told.loss) / 17).epsilon(1e-12));
  const auto [merged, report] = gradients_after(Mixing::merged, 1);
  all = features();
  all.append(text());
  CHECK((report.datasets.size() == 1 && report.datasets[0].tokens == 11 && merged == pass_over(all, 1).first));
  CHECK(gradients_after(Mixing::accumulation, 1).second.datasets.size() == 2);
  CHECK_THROWS_WITH(Trains(m.ctx, m.tied_lm.views, 43, {}).update({}), "[trainer] a mixture without datasets");
}

TEST_CASE("pictures of batches that are put together keep their places", "[trainer]") {
  Batch all = pictures();
  all.append(pictures());
  CHECK((all.pictures.size() == 6 && all.pictures[3].first == 48 && all.pixels.size() == 6 * 48));
}

}  // namespace trained_layer_test
