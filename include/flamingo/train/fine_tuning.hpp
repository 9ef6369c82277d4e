/// Fine-tuning on a task: short runs from a trained model, one for each choice of a grid, the best of each run and of
/// all selected by a validation loss. Everything goes on where it was stopped.
#pragma once
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/core/function.hpp>
#include <flamingo/io/atomic_file.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>
#include <flamingo/train/checkpoint.hpp>
#include <flamingo/train/checkpoints.hpp>
#include <flamingo/train/run_log.hpp>

namespace flamingo {

/// One choice of the paper's grid (B.2.2): the peak of the learning rate, documents an update, pictures as they are or
/// flipped and recoloured at random.
struct FineTuningChoice {
  double rate = 1e-5;
  int batch = 8;
  bool augmented = false;

  /// "rate-1e-05-batch-8", "rate-1e-05-batch-8-augmented"
  std::string name() const {
    std::array<char, 80> text{};
    std::snprintf(text.data(), text.size(), "rate-%.3g-batch-%d%s", rate, batch, augmented ? "-augmented" : "");
    return text.data();
  }
};

/// Rates from 1e-5 down by tens, and 3e-8; batches of 8 and 16; augmentation off and on. The rates are those of 80 B
/// parameters: `scale` makes them a smaller model's.
inline std::vector<FineTuningChoice> fine_tuning_grid(double scale = 1) {
  std::vector<FineTuningChoice> grid;
  for (const double rate : {1e-5, 1e-6, 1e-7, 3e-8})
    for (const int batch : {8, 16})
      for (const bool augmented : {false, true}) grid.push_back({rate * scale, batch, augmented});
  return grid;
}

/// How far a run came: its best validation loss and the step that had it.
struct FineTuningResult {
  double loss = std::numeric_limits<double>::infinity();
  long step = 0;
};

namespace detail {
inline io::Json json_of(const FineTuningResult& result) {
  return io::Json::Object{{"loss", io::Json(result.loss)}, {"step", io::Json(std::int64_t{result.step})}};
}
/// Throws Error with the source where the text says something else.
inline FineTuningResult fine_tuning_result(std::string_view text, const std::string& source) {
  const io::Json json = io::Json::parse(text, source);
  const io::Json *loss = json.is_object() ? json.find("loss") : nullptr,
                 *step = json.is_object() ? json.find("step") : nullptr;
  check(loss && step && loss->is_number() && step->is_integer(), "fine_tuning", source, ": expected a loss and a step");
  return {loss->as_double(), static_cast<long>(step->as_integer())};
}
}  // namespace detail

/// Where the best weights of a run lie, as load_checkpoint() reads them.
inline std::filesystem::path selected_checkpoint(const std::filesystem::path& run) {
  return run / "selected.safetensors";
}

/// Trains up to `steps` updates, validates after every `every` of them (and at the beginning: what training harms is
/// not selected), keeps checkpoints and the log in the folder `run`. `validate()` is the loss to select by. Data must
/// be a function of the step.
template <class Trainer, class R>
FineTuningResult fine_tune(const std::filesystem::path& run, Trainer& trainer, const DatasetStream<R>& data, long steps,
                           long every, const Function<double()>& validate) {
  check(steps > 0 && every > 0, "fine_tuning", "got ", steps, " steps and a validation every ", every,
        ", expected at least 1 of each");
  Checkpoints checkpoints(run / "checkpoints", 2);
  FineTuningResult best;
  checkpoints.resume([&](const std::filesystem::path& path) {
    load_checkpoint(path, trainer);
    best = detail::fine_tuning_result(checkpoint_note(path, "best"), path.string());
  });
  RunLog log(run, trainer.optimizer.steps());
  const auto select = [&](Measures measures) {
    const long step = trainer.optimizer.steps();
    const double loss = validate();
    check(loss == loss, "fine_tuning", "the validation loss at step ", step, " is not a number");
    if (loss < best.loss) {
      best = {loss, step};
      save_checkpoint(selected_checkpoint(run), trainer);
    }
    measures.push_back({"loss/validation", loss});
    log.write(step, measures);
    checkpoints.save(step, [&](const std::filesystem::path& path) {
      save_checkpoint(path, trainer, {{"best", detail::json_of(best).dump()}});
    });
  };
  if (trainer.optimizer.steps() == 0) select({});
  while (trainer.optimizer.steps() < steps) {
    const UpdateReport report = trainer.update({data});
    const long step = trainer.optimizer.steps();
    Measures measures{{"loss/training", report.datasets[0].loss}, {"rate", report.rate}};
    if (step % every == 0 || step == steps)
      select(std::move(measures));
    else
      log.write(step, measures);
  }
  return best;
}

/// A run of the grid that has ended.
struct FineTuned {
  FineTuningChoice choice;
  FineTuningResult result;
  std::filesystem::path run;  ///< its folder
};

/// `run(choice, folder)` fine-tunes by each choice that has no result in `folder` yet. The best comes first.
inline std::vector<FineTuned> run_grid(
    const std::filesystem::path& folder, const std::vector<FineTuningChoice>& grid,
    const Function<FineTuningResult(const FineTuningChoice&, const std::filesystem::path&)>& run) {
  check(!grid.empty(), "fine_tuning", "a grid without choices");
  std::vector<FineTuned> all;
  for (const FineTuningChoice& choice : grid) {
    FineTuned& tuned = all.emplace_back(FineTuned{choice, {}, folder / choice.name()});
    const std::filesystem::path ended = tuned.run / "result.json";
    if (std::filesystem::exists(ended)) {
      tuned.result = detail::fine_tuning_result(io::MappedFile(ended).text(), ended.string());
      continue;
    }
    std::filesystem::create_directories(tuned.run);
    tuned.result = run(choice, tuned.run);
    io::AtomicFile file(ended);
    file.write(detail::json_of(tuned.result).dump() + '\n');
    file.commit();
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const FineTuned& a, const FineTuned& b) { return a.result.loss < b.result.loss; });
  return all;
}

}  // namespace flamingo
