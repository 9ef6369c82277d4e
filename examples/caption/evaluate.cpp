// Scores a trained connector on held-out pictures and prints one JSON object. examples/train runs it last.
#include <algorithm>
#include <cmath>
#include <iostream>
#include <set>

#include "batches.hpp"
#include "naming.hpp"

#include <flamingo/cpu.hpp>

namespace {

using namespace caption;
using flamingo::io::Json;

/// A mean with its 95 % interval, by resampling pictures.
Json interval(const std::vector<double>& values) {
  const auto n = static_cast<int>(values.size());
  std::vector<double> means;
  flamingo::Random random(5);
  for (int trial = 0; trial < 2000; ++trial) {
    double sum = 0;
    for (int i = 0; i < n; ++i) sum += values[static_cast<std::size_t>(random.below(n))];
    means.push_back(sum / n);
  }
  std::sort(means.begin(), means.end());
  double mean = 0;
  for (const double v : values) mean += v / n;
  return Json::Object{{"mean", mean}, {"low", means[50]}, {"high", means[1949]}};
}

std::set<std::string> words_of(std::string_view text) {
  static const std::set<std::string> empty_words{"a", "an", "the", "of", "with", "and", "in", "on", "for"};
  std::set<std::string> words;
  std::string word;
  for (const char c : std::string(text) + " ") {
    if (std::isalnum(static_cast<unsigned char>(c))) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else {
      if (!word.empty() && !empty_words.contains(word)) words.insert(word);
      word.clear();
    }
  }
  return words;
}

/// 2 |common| / (|said| + |true|) over words that carry meaning.
double keyword_f1(std::string_view said, std::string_view expected) {
  const auto a = words_of(said), b = words_of(expected);
  if (a.empty() && b.empty()) return 1;
  double common = 0;
  for (const std::string& word : a) common += static_cast<double>(b.count(word));
  return 2 * common / static_cast<double>(a.size() + b.size());
}

struct Evaluation {
  flamingo::Context<P>& ctx;
  const Backbones& backbones;
  const std::vector<Picture>& pictures;
  const Features& features;
  Captioner captioner;
  std::vector<float> blank;
  std::vector<char> held_out;              ///< of the training concepts, to tell how names carry over
  std::vector<std::vector<float>> pooled;  ///< mean features of each picture

  Seen look_at(std::size_t i) const { return seen(pictures, features, i); }

  /// Captions of held-out concepts under real, shuffled and blank sight, a batch of pictures at a time.
  Json captions(std::span<const std::size_t> members) {
    constexpr std::size_t batch = 32;
    Json::Object all;
    for (const auto& [name, sight] :
         {std::pair{"real", Sight::real}, {"shuffled", Sight::shuffled}, {"blank", Sight::blank}}) {
      std::vector<double> nats, f1;
      for (std::size_t from = 0; from < members.size(); from += batch) {
        const std::size_t count = std::min(batch, members.size() - from);
        std::vector<flamingo::TextState> prompts;
        std::vector<std::pair<Seen, std::string>> captions;
        for (std::size_t n = from; n < from + count; ++n) {
          const std::size_t i = members[n], other = members[(n + 1 + members.size() / 2) % members.size()];
          Seen look = look_at(sight == Sight::shuffled ? other : i);
          if (sight == Sight::blank) look.features = blank;
          prompts.push_back(captioner.prompt({}, look));
          captions.push_back({std::move(look), pictures[i].caption});
        }
        const std::vector<double> likely = captioner.nats_of(captions);
        nats.insert(nats.end(), likely.begin(), likely.end());
        const auto said = captioner.describe(prompts);
        for (std::size_t n = 0; n < count; ++n)
          f1.push_back(keyword_f1(said[n].text, pictures[members[from + n]].caption));
        prompts.clear();
        captioner.drop_unused_media();
      }
      all.push_back({name, Json::Object{{"nats_per_token", interval(nats)}, {"keyword_f1", interval(f1)}}});
    }
    all.push_back({"pictures", static_cast<std::int64_t>(members.size())});
    return all;
  }

  /// The `shots` training pictures whose mean features are most like a picture's, the likest last (the paper's RICES).
  std::vector<std::size_t> neighbours(std::size_t picture, int shots) const {
    std::vector<std::pair<float, std::size_t>> near;
    const std::vector<float>& query = pooled[picture];
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      if (pictures[i].split != "train" || held_out[i]) continue;
      float cosine = 0;
      for (std::size_t d = 0; d < query.size(); ++d) cosine += query[d] * pooled[i][d];
      near.push_back({cosine, i});
    }
    std::partial_sort(near.begin(), near.begin() + shots, near.end(), std::greater<>());
    std::vector<std::size_t> found;
    for (int n = shots; n-- > 0;) found.push_back(near[static_cast<std::size_t>(n)].second);
    return found;
  }

  /// Which of the split's names is likeliest, by summed log-likelihood, after `shots` retrieved examples.
  Json naming(std::span<const std::size_t> members, int shots) {
    const std::vector<std::string> names = names_of(pictures, members);
    std::vector<double> top1, top5;
    for (const std::size_t i : members) {
      std::vector<Seen> examples;
      std::vector<std::pair<const Seen*, std::string>> support;
      for (const std::size_t n : neighbours(i, shots)) examples.push_back(look_at(n));
      for (std::size_t n = 0; const std::size_t near : neighbours(i, shots))
        support.push_back({&examples[n++], pictures[near].caption});
      auto state = captioner.prompt(support, look_at(i));
      const auto better = rank_of(captioner, state, names, pictures[i].caption);
      top1.push_back(better == 0);
      top5.push_back(better < 5);
      captioner.drop_unused_media();
    }
    return Json::Object{{"top1", interval(top1)},
                        {"top5", interval(top5)},
                        {"chance", 1.0 / static_cast<double>(names.size())},
                        {"names", static_cast<std::int64_t>(names.size())},
                        {"pictures", static_cast<std::int64_t>(members.size())},
                        {"prototype_top1", prototypes(members, names)}};
  }

  /// The reference: the nearest mean feature of a name's training pictures, by cosine. Pictures whose name has no
  /// training picture count as missed.
  double prototypes(std::span<const std::size_t> members, const std::vector<std::string>& names) {
    std::vector<std::vector<float>> mean(names.size(), std::vector<float>(Encoder::D, 0));
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      const auto at = std::find(names.begin(), names.end(), pictures[i].caption);
      if (pictures[i].split != "train" || held_out[i] || at == names.end()) continue;
      auto& sum = mean[static_cast<std::size_t>(at - names.begin())];
      for (std::size_t d = 0; d < sum.size(); ++d) sum[d] += pooled[i][d];
    }
    double right = 0;
    for (const std::size_t i : members) {
      double best = -1;
      std::string said;
      for (std::size_t n = 0; n < names.size(); ++n) {
        double dot = 0, square = 1e-12;
        for (std::size_t d = 0; d < mean[n].size(); ++d) {
          dot += static_cast<double>(pooled[i][d]) * static_cast<double>(mean[n][d]);
          square += static_cast<double>(mean[n][d]) * static_cast<double>(mean[n][d]);
        }
        if (dot / std::sqrt(square) > best) {
          best = dot / std::sqrt(square);
          said = names[n];
        }
      }
      right += said == pictures[i].caption;
    }
    return right / static_cast<double>(members.size());
  }
};

int run(int argc, char** argv) {
  flamingo::check(argc == 7, "evaluate",
                  "usage: evaluate BACKBONES PICTURES MANIFEST OUT CONNECTOR validation|test\n"
                  "  OUT is the folder of `train`, whose feature cache is used");
  const std::filesystem::path out = argv[4];
  const bool test = std::string_view(argv[6]) == "test";
  flamingo::Context<P> ctx;
  const Backbones backbones = Backbones::load(argv[1], flamingo::Held::as_stored, flamingo::Arrangement::panels);
  const std::vector<Picture> pictures = read_manifest(argv[3]);
  const Features features(ctx, backbones, argv[2], pictures, variations, out / "features.bin");
  flamingo::Store<Connector, P> connector;
  flamingo::load_connector<config, P>(argv[5], connector.views);
  flamingo::io::Image white{config.vision.image, config.vision.image, {}};
  white.rgb.assign(static_cast<std::size_t>(white.width * white.height * 3), 255);
  Evaluation evaluation{ctx,
                        backbones,
                        pictures,
                        features,
                        Captioner(ctx, backbones, connector.views),
                        encode(ctx, backbones, std::span(&white, 1)),
                        carried(pictures),
                        {}};
  for (std::size_t i = 0; i < pictures.size(); ++i) evaluation.pooled.push_back(features.pooled(i));

  const auto members = [&](auto&& wanted) {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < pictures.size(); ++i)
      if (wanted(pictures[i])) found.push_back(i);
    return found;
  };
  const auto split = [&](std::string_view name) {
    return members([name](const Picture& p) { return p.split == name; });
  };
  Json::Object report{{"connector", argv[5]}};
  if (test) {
    report.push_back({"captions", evaluation.captions(split("test"))});
    for (const int shots : {0, 4})
      for (const char* name : {"e1", "e2"})
        report.push_back(
            {std::string(name) + "_" + std::to_string(shots) + "_shots", evaluation.naming(split(name), shots)});
  } else {
    report.push_back({"captions", evaluation.captions(split("validation"))});
    std::vector<std::size_t> held_out;
    for (std::size_t i = 0; i < pictures.size(); ++i)
      if (evaluation.held_out[i]) held_out.push_back(i);
    for (const int shots : {0, 4})
      report.push_back({"carried_" + std::to_string(shots) + "_shots", evaluation.naming(held_out, shots)});
  }
  std::cout << Json(report).dump(2) << '\n';
  return 0;
}

}  // namespace

int main(int argc, char** argv) try { return run(argc, argv); } catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
