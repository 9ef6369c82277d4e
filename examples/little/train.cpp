// From nothing to a model that names, answers and follows: train OUT.safetensors [STEPS [RATE]]
//
// Encoder, Resampler, gated blocks and language model begin at random and are trained together, from pixels, on drawn
// documents: a few pictures with their names, a picture and two questions, a video and one.
#include <cstdlib>
#include <iostream>

#include "model.hpp"

#include <flamingo/cpu.hpp>
#include <flamingo/model/weights.hpp>
#include <flamingo/train/progress.hpp>
#include <flamingo/train/trainer.hpp>

namespace {

using namespace little;

/// Puts a document and its pictures into a batch.
void add(flamingo::TrainingBatch<float>& batch, const flamingo::Document& document,
         const std::vector<std::vector<Picture>>& media, const flamingo::io::Tokenizer& tokenizer,
         const flamingo::Tags& tags) {
  flamingo::Sequence sequence = flamingo::sequence_of(document, tokenizer, tags);
  sequence.first_medium = static_cast<int>(batch.media.size());
  batch.sequences.push_back(std::move(sequence));
  int place = 0;
  for (const auto& frames : media) {
    const int first = static_cast<int>(batch.pictures.size()) * config.vision.cells(),
              n = static_cast<int>(frames.size());
    batch.media.push_back({first, n * config.vision.cells(), n, place++});
    for (const Picture& frame : frames) {
      batch.pictures.push_back({static_cast<int>(batch.pixels.size() / 3), side, side});
      batch.pixels.insert(batch.pixels.end(), frame.begin(), frame.end());
    }
  }
}

/// The documents of a step: a function of the step, so that a run that is resumed sees what it would have seen.
flamingo::TrainingBatch<float> documents(long step, const flamingo::io::Tokenizer& tokenizer,
                                         const flamingo::Tags& tags) {
  flamingo::TrainingBatch<float> batch;
  flamingo::Random random(/*seed=*/7, static_cast<std::uint64_t>(step));
  for (int i = 0; i < 8; ++i) {
    flamingo::Document named;
    std::vector<std::vector<Picture>> pictures;
    for (int n = 1 + random.below(3); n-- > 0;) {
      const Thing thing = Thing::drawn(random);
      named.image("picture").text(thing.name());
      pictures.push_back({picture_of(thing, random)});
    }
    add(batch, named, pictures, tokenizer, tags);

    const Thing thing = Thing::drawn(random);
    const std::string colour = " " + colours[static_cast<std::size_t>(thing.colour)] + ".",
                      shape = " " + shapes[static_cast<std::size_t>(thing.shape)] + ".";
    flamingo::Document asked;
    if (random.below(2))
      asked.image("picture").given(" which colour?").text(colour).given(" which shape?").text(shape);
    else
      asked.image("picture").given(" which shape?").text(shape).given(" which colour?").text(colour);
    add(batch, asked, {{picture_of(thing, random)}}, tokenizer, tags);

    const int way = random.below(2);
    add(batch,
        flamingo::Document{}
            .video({"1", "2", "3", "4"})
            .given(" which way?")
            .text(" " + ways[static_cast<std::size_t>(way)] + "."),
        {video_of(Thing::drawn(random), way, random)}, tokenizer, tags);
  }
  return batch;
}

}  // namespace

int main(int argc, char** argv) {
  const long steps = argc > 2 ? std::atol(argv[2]) : 1500;
  const double rate = argc > 3 ? std::atof(argv[3]) : 6e-3;
  const auto tokenizer = words();
  const auto tags = flamingo::Tags::of(tokenizer, "<s>", "<image>", "<eoc>");
  flamingo::Context<P> ctx(2);
  const flamingo::Schedule schedule{
      .peak = rate, .warmup = 20, .shape = flamingo::Schedule::Shape::cosine, .steps = steps, .floor = 0.05};
  flamingo::Trainer<config, P, flamingo::Nothing, everything> trainer(ctx, /*seed=*/1, schedule);

  const std::vector<flamingo::DatasetStream<float>> mixture{
      {"drawn", 1, [&](long step) { return documents(step, tokenizer, tags); }}};
  const auto held_out = documents(1'000'000, tokenizer, tags);
  const double before = trainer.pass(held_out, 0).loss;
  flamingo::Progress progress(std::cout, "step", steps, /*terminal=*/false, /*interval=*/2);
  for (long step = 1; step <= steps; ++step) {
    const auto update = trainer.update(mixture);
    progress.report(step, "nats a token " + std::to_string(update.datasets[0].loss));
  }
  const double after = trainer.pass(held_out, 0).loss;
  std::cout << "held out: " << before << " nats a token before, " << after << " after\n";
  if (argc > 1) {
    flamingo::TensorWriter writer(flamingo::io::DType::f32);
    writer.add<Whole>(trainer.weights.views);
    writer.save(argv[1]);
  }
  return after < before ? 0 : 1;
}
