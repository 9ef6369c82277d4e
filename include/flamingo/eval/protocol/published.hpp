/// What the papers report: few-shot scores of Flamingo and OpenFlamingo, the state of the art they are compared with,
/// and the aggregate over benchmarks.
#pragma once
#include <array>
#include <cstddef>
#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/eval/metrics/scores.hpp>

namespace flamingo {

/// The columns of the paper's table of results, in its order.
inline constexpr std::array<std::string_view, 16> published_tasks{
    "okvqa", "vqav2",    "coco", "msvdqa",  "vatex",   "vizwiz", "flickr30k",    "msrvttqa",
    "ivqa",  "youcook2", "star", "visdial", "textvqa", "nextqa", "hatefulmemes", "rareact"};

inline constexpr double not_published = -std::numeric_limits<double>::infinity();

struct PublishedRow {
  std::string_view model;
  int shots;
  std::array<double, published_tasks.size()> scores;
};

namespace detail {
inline constexpr double none = not_published;
}

/// Alayrac et al. 2022, table 1 (v1: table 3). VisDial of 32 shots does not fit the context; RareAct is zero-shot
/// alone.
inline constexpr PublishedRow flamingo_rows[] = {
    {"Flamingo-3B",
     0,
     {41.2, 49.2, 73.0, 27.5, 40.1, 28.9, 60.6, 11.0, 32.7, 55.8, 39.6, 46.1, 30.1, 21.3, 53.7, 58.4}},
    {"Flamingo-3B",
     4,
     {43.3, 53.2, 85.0, 33.0, 50.0, 34.0, 72.0, 14.9, 35.7, 64.6, 41.3, 47.3, 32.7, 22.4, 53.6, detail::none}},
    {"Flamingo-3B",
     8,
     {44.6, 55.4, 90.6, 37.0, 54.5, 38.4, 71.7, 19.6, 36.8, 68.0, 40.6, 47.6, 32.4, 23.9, 54.7, detail::none}},
    {"Flamingo-3B",
     16,
     {45.6, 56.7, 95.4, 40.2, 57.1, 43.3, 73.4, 23.4, 37.4, 73.2, 40.1, 47.5, 31.8, 25.2, 55.3, detail::none}},
    {"Flamingo-3B",
     32,
     {45.9, 57.1, 99.0, 42.6, 59.2, 45.5, 71.2, 25.6, 37.7, 76.7, 41.6, detail::none, 30.6, 26.1, 56.3, detail::none}},
    {"Flamingo-9B",
     0,
     {44.7, 51.8, 79.4, 30.2, 39.5, 28.8, 61.5, 13.7, 35.2, 55.0, 41.8, 48.0, 31.8, 23.0, 57.0, 57.9}},
    {"Flamingo-9B",
     4,
     {49.3, 56.3, 93.1, 36.2, 51.7, 34.9, 72.6, 18.2, 37.7, 70.8, 42.8, 50.4, 33.6, 24.7, 62.7, detail::none}},
    {"Flamingo-9B",
     8,
     {50.0, 58.0, 99.0, 40.8, 55.2, 39.4, 73.4, 23.9, 40.0, 75.0, 43.4, 51.2, 33.6, 25.8, 63.9, detail::none}},
    {"Flamingo-9B",
     16,
     {50.8, 59.4, 102.2, 44.5, 58.5, 43.0, 72.7, 27.6, 41.5, 77.2, 42.4, 51.3, 33.5, 27.6, 64.5, detail::none}},
    {"Flamingo-9B",
     32,
     {51.0, 60.4, 106.3, 47.2, 57.4, 44.0, 72.8, 29.4, 40.7, 77.3, 41.2, detail::none, 32.6, 28.4, 63.5, detail::none}},
    {"Flamingo-80B",
     0,
     {50.6, 56.3, 84.3, 35.6, 46.7, 31.6, 67.2, 17.4, 40.7, 60.1, 39.7, 52.0, 35.0, 26.7, 46.4, 60.8}},
    {"Flamingo-80B",
     4,
     {57.4, 63.1, 103.2, 41.7, 56.0, 39.6, 75.1, 23.9, 44.1, 74.5, 42.4, 55.6, 36.5, 30.8, 68.6, detail::none}},
    {"Flamingo-80B",
     8,
     {57.5, 65.6, 108.8, 45.5, 60.6, 44.8, 78.2, 27.6, 44.8, 80.7, 42.3, 56.4, 37.3, 32.3, 70.0, detail::none}},
    {"Flamingo-80B",
     16,
     {57.8, 66.8, 110.5, 48.4, 62.8, 48.4, 78.9, 30.0, 45.2, 84.2, 41.1, 56.8, 37.6, 32.9, 70.0, detail::none}},
    {"Flamingo-80B",
     32,
     {57.8, 67.6, 113.8, 52.3, 65.1, 49.8, 75.4, 31.0, 45.3, 86.8, 42.2, detail::none, 37.9, 33.5, 70.0,
      detail::none}}};

/// Awadalla et al. 2023, tables 4 and 11: COCO, VQAv2, OK-VQA, Flickr30k, TextVQA, VizWiz and HatefulMemes alone.
inline constexpr PublishedRow open_flamingo_rows[] = {
    {"OpenFlamingo-9B",
     0,
     {37.8, 52.7, 79.5, detail::none, detail::none, 27.5, 59.5, detail::none, detail::none, detail::none, detail::none,
      detail::none, 24.2, detail::none, 51.6, detail::none}},
    {"OpenFlamingo-9B",
     4,
     {40.1, 54.8, 89.0, detail::none, detail::none, 34.1, 65.8, detail::none, detail::none, detail::none, detail::none,
      detail::none, 28.2, detail::none, 54.0, detail::none}},
    {"OpenFlamingo-9B",
     8,
     {41.1, 54.8, 96.3, detail::none, detail::none, 38.5, 62.9, detail::none, detail::none, detail::none, detail::none,
      detail::none, 29.1, detail::none, 54.7, detail::none}},
    {"OpenFlamingo-9B",
     16,
     {42.7, 54.3, 98.8, detail::none, detail::none, 42.5, 62.8, detail::none, detail::none, detail::none, detail::none,
      detail::none, 27.3, detail::none, 53.9, detail::none}},
    {"OpenFlamingo-9B",
     32,
     {42.4, 53.3, 99.5, detail::none, detail::none, 44.0, 61.3, detail::none, detail::none, detail::none, detail::none,
      detail::none, 23.8, detail::none, 53.8, detail::none}}};

/// The best fine-tuned models of the time (the paper's table 1); nobody had tuned one on RareAct. HatefulMemes as v1
/// has it (v2: 79.1).
inline constexpr std::array<double, published_tasks.size()> fine_tuned_state_of_the_art{
    54.4, 80.2, 143.3, 47.9, 76.3, 57.2, 67.4, 46.8, 35.4, 138.7, 36.7, 75.2, 54.7, 25.2, 75.4, not_published};

/// A published score, or not_published.
inline double published(std::span<const PublishedRow> rows, std::string_view model, int shots, std::string_view task) {
  for (std::size_t t = 0; t < published_tasks.size(); ++t)
    if (published_tasks[t] == task)
      for (const PublishedRow& row : rows)
        if (row.model == model && row.shots == shots) return row.scores[t];
  return not_published;
}

/// The paper's aggregate: the mean over tasks of score / fine-tuned state of the art, of those that have both. Throws
/// where none has.
inline double aggregate(std::span<const std::pair<std::string_view, double>> scores) {
  std::vector<double> shares;
  for (const auto& [task, score] : scores)
    for (std::size_t t = 0; t < published_tasks.size(); ++t)
      if (published_tasks[t] == task && score != not_published && fine_tuned_state_of_the_art[t] != not_published)
        shares.push_back(score / fine_tuned_state_of_the_art[t]);
  check(!shares.empty(), "published", "no task has both a score and a fine-tuned state of the art");
  return mean(shares);
}
inline double aggregate(const PublishedRow& row) {
  std::vector<std::pair<std::string_view, double>> scores;
  for (std::size_t t = 0; t < published_tasks.size(); ++t) scores.emplace_back(published_tasks[t], row.scores[t]);
  return aggregate(scores);
}

}  // namespace flamingo
