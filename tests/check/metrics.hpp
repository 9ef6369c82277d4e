/// Checks of metrics against the originals: captions (raw, tokenised, scores), VQA accuracy, areas under ROC curves.
#pragma once
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <flamingo/eval/metrics/bleu.hpp>
#include <flamingo/eval/metrics/cider.hpp>
#include <flamingo/eval/metrics/ptb_tokenizer.hpp>
#include <flamingo/eval/metrics/ranking.hpp>
#include <flamingo/eval/metrics/rouge.hpp>
#include <flamingo/eval/metrics/vqa.hpp>
#include <flamingo/eval/prompts.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>

namespace flamingo::test {

struct MetricsReport {
  int numbers = 0, texts = 0, wrong = 0;
  double worst = 0;   ///< difference of a number
  std::string first;  ///< what differs first
  std::string left;   ///< metrics that are not here

  void number(const std::string& name, double ours, double theirs) {
    ++numbers;
    const double difference = std::abs(ours - theirs);
    if (!(difference <= worst)) worst = difference;
    if (difference <= 1e-6) return;
    ++wrong;
    if (first.empty()) first = name + ": " + std::to_string(ours) + ", not " + std::to_string(theirs);
  }
  void text(const std::string& name, const std::string& ours, const std::string& theirs) {
    ++texts;
    if (ours == theirs) return;
    ++wrong;
    if (first.empty()) first = name + ": '" + ours + "', not '" + theirs + "'";
  }
};

namespace metric_checks {

inline std::vector<std::string> strings(const io::Json& list) {
  std::vector<std::string> all;
  for (const io::Json& text : list.as_array()) all.push_back(text.as_string());
  return all;
}

/// A name's sets are lists of references and of candidates, the latter bare or in lists of one.
inline CaptionSets caption_sets(const io::Json& json) {
  CaptionSets sets;
  for (const io::Json& of_item : json.at("references").as_array()) sets.references.push_back(strings(of_item));
  for (const io::Json& of_item : json.at("candidates").as_array())
    sets.candidates.push_back(of_item.is_array() ? of_item.as_array().at(0).as_string() : of_item.as_string());
  return sets;
}

inline void check_captions(MetricsReport& report, const std::string& name, const io::Json& golden) {
  const CaptionSets raw = caption_sets(golden.at("raw")), sets = caption_sets(golden.at("tokenized"));
  std::vector<std::string> lines, expected;
  for (const auto& of_item : raw.references) lines.insert(lines.end(), of_item.begin(), of_item.end());
  for (const auto& of_item : sets.references) expected.insert(expected.end(), of_item.begin(), of_item.end());
  const auto tokens = [&](const std::vector<std::string>& ours, const std::vector<std::string>& theirs) {
    report.number(name + " captions", static_cast<double>(ours.size()), static_cast<double>(theirs.size()));
    for (std::size_t i = 0; i < ours.size() && i < theirs.size(); ++i)
      report.text(name + " caption " + std::to_string(i), ours[i], theirs[i]);
  };
  tokens(caption_tokens(lines), expected);
  tokens(caption_tokens(raw.candidates), sets.candidates);
  std::map<std::string, Scores> scores{{"CIDEr-D", cider_d(sets)}, {"ROUGE-L", rouge_l(sets)}};
  for (std::size_t n = 0; n < 4; ++n) scores["BLEU-" + std::to_string(n + 1)] = bleu(sets)[n];
  for (const auto& [metric, values] : golden.at("scores").as_object()) {
    const auto found = scores.find(metric);
    if (found == scores.end()) {
      if (report.left.find(metric) == std::string::npos) report.left += " " + metric;
      continue;
    }
    const io::Json* all = values.find("mean") ? values.find("mean") : values.find("corpus");
    if (all) report.number(name + " " + metric, found->second.all, all->as_double());
    const auto& items = values.at("per_item").as_array();
    report.number(name + " items", static_cast<double>(found->second.items.size()), static_cast<double>(items.size()));
    for (std::size_t i = 0; i < items.size() && i < found->second.items.size(); ++i)
      report.number(name + " " + metric + " of item " + std::to_string(i), found->second.items[i],
                    items[i].as_double());
  }
}

inline void check_vqa(MetricsReport& report, const io::Json& golden) {
  std::vector<double> accuracies;
  const auto& answers = golden.at("answers").as_array();
  const auto& predictions = golden.at("predictions").as_array();
  const auto& expected = golden.at("per_question").as_array();
  for (std::size_t i = 0; i < answers.size(); ++i) {
    accuracies.push_back(vqa_accuracy(predictions.at(i).as_string(), strings(answers[i])));
    report.number("question " + std::to_string(i), percent(accuracies.back()), expected.at(i).as_double());
  }
  report.number("vqa", percent(mean(accuracies)), golden.at("overall").as_double());
  // Types go round: question i is of the i-th, the first again after the last.
  for (const char* kind : {"per_question_type", "per_answer_type"}) {
    const auto& types = golden.at(kind).as_object();
    for (std::size_t t = 0; t < types.size(); ++t) {
      std::vector<double> of_type;
      for (std::size_t i = t; i < accuracies.size(); i += types.size()) of_type.push_back(accuracies[i]);
      report.number(types[t].name, percent(mean(of_type)), types[t].value.as_double());
    }
  }
  for (const auto& [text, normal] : golden.at("normalized").as_object())
    report.text("'" + text + "' normalised", vqa_normalized(text), normal.as_string());
  if (const io::Json* cuts = golden.find("postprocess"))
    for (const io::Json& pair : cuts->as_array()) {
      const std::string written = pair.as_array().at(0).as_string();
      report.text("'" + written + "' cut", trimmed_answer(open_flamingo_prompts().question, written),
                  pair.as_array().at(1).as_string());
    }
}

}  // namespace metric_checks

/// A member that has scores of captions, answers to questions or lists of labels is told by what it holds.
inline MetricsReport check_metrics(const std::filesystem::path& path) {
  const io::MappedFile file(path);
  const io::Json all = io::Json::parse(file.text(), path.string());
  MetricsReport report;
  const auto take = [&](const std::string& name, const io::Json& golden) {
    if (golden.is_object() && golden.find("raw") && golden.find("scores")) {
      metric_checks::check_captions(report, name, golden);
    } else if (golden.is_object() && golden.find("answers")) {
      metric_checks::check_vqa(report, golden);
    } else if (golden.is_array()) {
      for (const io::Json& curve : golden.as_array()) {
        std::vector<int> labels;
        std::vector<double> scores;
        for (const io::Json& label : curve.at("labels").as_array())
          labels.push_back(static_cast<int>(label.as_integer()));
        for (const io::Json& score : curve.at("scores").as_array()) scores.push_back(score.as_double());
        report.number(name, roc_auc(labels, scores), curve.at("auc").as_double());
      }
    }
  };
  for (const auto& [name, golden] : all.as_object()) take(name, golden);
  return report;
}

}  // namespace flamingo::test
