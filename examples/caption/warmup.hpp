/// A contrastive warm-up: before any caption is written, what a gated block would add to the residual stream for a
/// picture (the mean of its values, through its output map) learns to find the direction of the picture's caption among
/// those of the batch (InfoNCE, both directions). No pass through the language model.
///
/// The last block's direction of a caption is that in which the language model's own head tells its tokens: the mean of
/// their rows of the tied table, times the last norm's scale, less the mean over all captions. So the block begins with
/// an output that already names pictures, and its gate opens at once; without the warm-up the captions' words are
/// learned long before the pictures are looked at. The first block's, where it is asked for, is that of the caption's
/// words as they are read: the mean of their rows alone. So a picture begins as a word between words, and what the
/// frozen model does with words that come again, such as to expect what followed them, it does with pictures.
#pragma once
#include <cmath>
#include <cstdint>
#include <map>
#include <vector>

#include "batches.hpp"

namespace caption {

/// Rows of length 1, and the gradient through that.
struct UnitRows {
  std::vector<float> lengths;

  template <class X>
  explicit UnitRows(const X& x) {
    for (int n = 0; n < x.rows; ++n) {
      float squares = 1e-12f;
      for (int d = 0; d < x.width; ++d) squares += x.row(n)[d] * x.row(n)[d];
      lengths.push_back(std::sqrt(squares));
      for (int d = 0; d < x.width; ++d) x.row(n)[d] /= lengths.back();
    }
  }
  /// dx = (dy - y <y, dy>) / length, in place.
  template <class X>
  void backward(const X& y, const X& dy) const {
    for (int n = 0; n < y.rows; ++n) {
      float along = 0;
      for (int d = 0; d < y.width; ++d) along += y.row(n)[d] * dy.row(n)[d];
      for (int d = 0; d < y.width; ++d)
        dy.row(n)[d] = (dy.row(n)[d] - y.row(n)[d] * along) / lengths[static_cast<std::size_t>(n)];
    }
  }
};

/// How the warm-up goes.
struct WarmUp {
  long steps = 250;
  int pairs = 128;  ///< a step
  Disturb disturb;
  float smoothing = 0;  ///< of the right answers
  double rate = 1e-3, decay = 0;
  float sharpness = 20;   ///< the inverse temperature
  bool as_words = false;  ///< the first block learns too
  std::uint64_t seed = 21;
};

/// `Seen` knows the features of pictures: of(picture, variation) and variations(picture).
template <class Seen>
class Contrast {
 public:
  using Resampler = Model::ResamplerLayer;
  using Attend = Model::Gated::Attend;
  static constexpr int D = Model::D, E = Model::E, KV = Model::Gated::KV;

  Contrast(flamingo::Context<P>& ctx, const std::vector<Picture>& pictures, const Seen& features,
           const Backbones& backbones, std::vector<std::size_t> members, WarmUp how)
      : ctx_(ctx), pictures_(pictures), features_(features), members_(std::move(members)), how_(how) {
    sayings_.push_back({static_cast<std::size_t>(config.gated_blocks()) - 1, directions_of(pictures, backbones, true)});
    if (how.as_words) sayings_.push_back({0, directions_of(pictures, backbones, false)});
  }

  /// The loss of a step's batch; adds lambda times its gradient.
  template <class W, class G>
  double pass(const W& w, const G& g, long step, float lambda) {
    const int pairs = how_.pairs;
    const auto kept = ctx_.kept_scope();
    const auto scope = ctx_.scope();
    flamingo::Random random(how_.seed, static_cast<std::uint64_t>(step));
    Batch batch;
    std::vector<std::size_t> drawn;
    for (int n = 0; n < pairs; ++n) {
      const std::size_t i = members_[static_cast<std::size_t>(random.below(static_cast<int>(members_.size())))];
      drawn.push_back(i);
      add_medium(batch, features_.of(i, random.below(features_.variations(i))), 0, how_.disturb, random);
    }
    const auto plan = flamingo::ResamplerPlan::of(config.resampler, batch.media);
    const auto latents = flamingo::keep<E>(ctx_, pairs * Model::R);
    const flamingo::Rows<P, Encoder::D, const float> rows{
        batch.features.data(), static_cast<int>(batch.features.size()) / Encoder::D, {}};
    const auto saved = Resampler::forward<flamingo::weight_gradients>(ctx_, w.resampler, rows, plan, latents);
    const auto pooled = flamingo::scratch<E>(ctx_, pairs), dpooled = flamingo::scratch<E>(ctx_, pairs);
    pool(latents, pooled);
    flamingo::ops::clear(ctx_, dpooled);
    double loss = 0;
    for (Saying& saying : sayings_) loss += pass(saying, w, g, drawn, pooled, dpooled, lambda);
    const auto dlatents = flamingo::scratch<E>(ctx_, latents.rows);
    for (int n = 0; n < latents.rows; ++n)
      for (int d = 0; d < E; ++d) dlatents.row(n)[d] = dpooled.row(n / Model::R)[d] / float(Model::R);
    Resampler::backward(ctx_, w.resampler, saved, plan, dlatents, flamingo::NoGrad{}, g.resampler);
    return loss / static_cast<double>(sayings_.size());
  }

  /// How many times longer than what the first block says of a picture the words of captions are, as they are read:
  /// both less what all have in common.
  double words_over_said() const { return word_length_ / sayings_.back().length; }

  /// The share of pictures that find their own caption among the captions of all of `members`.
  template <class W>
  double retrieval(const W& w, const std::vector<std::size_t>& members) {
    const auto scope = ctx_.scope();
    const auto kept = ctx_.kept_scope();
    const auto& directions = sayings_.front().directions;
    std::map<std::string, const float*> names;
    Batch batch;
    flamingo::Random unused;
    for (const std::size_t i : members) {
      names.try_emplace(pictures_[i].caption, directions.at(pictures_[i].caption).data());
      add_medium(batch, features_.of(i), 0, {}, unused);
    }
    const int count = static_cast<int>(members.size());
    const auto plan = flamingo::ResamplerPlan::of(config.resampler, batch.media);
    const auto latents = flamingo::keep<E>(ctx_, count * Model::R);
    Resampler::forward<flamingo::no_gradients>(
        ctx_, w.resampler,
        flamingo::Rows<P, Encoder::D, const float>{
            batch.features.data(), static_cast<int>(batch.features.size()) / Encoder::D, {}},
        plan, latents);
    const auto pooled = flamingo::scratch<E>(ctx_, count);
    const auto value = flamingo::scratch<KV>(ctx_, count);
    const auto said = flamingo::scratch<D>(ctx_, count);
    pool(latents, pooled);
    say(w.gated.back().attention, pooled, value, said);
    int found = 0;
    for (int n = 0; n < count; ++n) {
      const std::string& own = pictures_[members[static_cast<std::size_t>(n)]].caption;
      const float mine = dot(said.row(n), names.at(own));
      found += std::all_of(names.begin(), names.end(),
                           [&](const auto& name) { return name.first == own || dot(said.row(n), name.second) < mine; });
    }
    return static_cast<double>(found) / count;
  }

 private:
  /// What a block says of a picture, and what it should say of each caption: directions of length 1.
  struct Saying {
    std::size_t block;
    std::map<std::string, std::vector<float>> directions;
    double length = 0;  ///< of what it said last, on average
  };

  /// Of the words as the head tells them, or as they are read.
  std::map<std::string, std::vector<float>> directions_of(const std::vector<Picture>& pictures,
                                                          const Backbones& backbones, bool told) {
    std::map<std::string, std::vector<float>> directions;
    for (const Picture& picture : pictures) directions.try_emplace(picture.caption, D, 0.0f);
    const auto& lm = backbones.lm.views;
    std::vector<float> mean(D, 0);
    for (auto& [caption, direction] : directions) {
      const std::vector<int> ids = backbones.tokenizer.encode(" " + caption, {.begins = false});
      const auto scope = ctx_.scope();
      const auto rows = flamingo::scratch<D>(ctx_, static_cast<int>(ids.size()));
      Lm::embed(ctx_, lm, flamingo::table(ctx_, ids), rows);
      for (int t = 0; t < rows.rows; ++t)
        for (std::size_t d = 0; d < D; ++d)
          direction[d] += rows.row(t)[d] * (told ? lm.norm.scale.data[d] : 1.0f) / static_cast<float>(rows.rows);
      for (std::size_t d = 0; d < D; ++d) mean[d] += direction[d] / static_cast<float>(directions.size());
    }
    for (auto& [caption, direction] : directions) {
      float squares = 1e-12f;
      for (std::size_t d = 0; d < D; ++d) {
        direction[d] -= mean[d];
        squares += direction[d] * direction[d];
      }
      if (!told) word_length_ += std::sqrt(static_cast<double>(squares)) / static_cast<double>(directions.size());
      for (float& x : direction) x /= std::sqrt(squares);
    }
    return directions;
  }

  /// The loss of what one block says of the drawn pictures; adds lambda times its gradient to g and dpooled.
  template <class W, class G>
  double pass(Saying& saying, const W& w, const G& g, const std::vector<std::size_t>& drawn,
              const flamingo::Rows<P, E>& pooled, const flamingo::Rows<P, E>& dpooled, float lambda) {
    const int pairs = pooled.rows;
    const auto scope = ctx_.scope();
    const auto value = flamingo::scratch<KV>(ctx_, pairs), dvalue = flamingo::scratch<KV>(ctx_, pairs);
    const auto said = flamingo::scratch<D>(ctx_, pairs), dsaid = flamingo::scratch<D>(ctx_, pairs);
    const auto dpooled_here = flamingo::scratch<E>(ctx_, pairs);
    const auto& block = w.gated[saying.block].attention;
    const auto& dblock = g.gated[saying.block].attention;
    say(block, pooled, value, said);
    const UnitRows unit(said);
    saying.length = 0;
    for (const float length : unit.lengths) saying.length += static_cast<double>(length) / pairs;
    std::vector<const float*> texts;
    for (const std::size_t i : drawn) texts.push_back(saying.directions.at(pictures_[i].caption).data());

    // logits[i][j] = sharpness <said_i, direction_j>; pairs of one concept are right answers to each other.
    std::vector<double> logits(static_cast<std::size_t>(pairs * pairs)), gradient(logits.size(), 0);
    const auto at = [pairs](int i, int j) { return static_cast<std::size_t>(i * pairs + j); };
    for (int i = 0; i < pairs; ++i)
      for (int j = 0; j < pairs; ++j)
        logits[at(i, j)] = static_cast<double>(how_.sharpness * dot(said.row(i), texts[static_cast<std::size_t>(j)]));
    double loss = 0;
    const double smooth = static_cast<double>(how_.smoothing);
    const auto direction = [&](auto&& place) {  // place(i, j): the logit of answer j to question i
      for (int i = 0; i < pairs; ++i) {
        double all = 0, right = 0;
        const auto same = [&](int j) {
          return pictures_[drawn[static_cast<std::size_t>(i)]].concept_key ==
                 pictures_[drawn[static_cast<std::size_t>(j)]].concept_key;
        };
        for (int j = 0; j < pairs; ++j) {
          const double e = std::exp(logits[place(i, j)]);
          all += e;
          if (same(j)) right += e;
        }
        loss -= std::log(right / all) / (2 * pairs);
        for (int j = 0; j < pairs; ++j) {
          const double e = std::exp(logits[place(i, j)]);
          gradient[place(i, j)] += (e / all - (1 - smooth) * (same(j) ? e / right : 0) - smooth / pairs) / (2 * pairs);
        }
      }
    };
    direction(at);
    direction([&](int i, int j) { return at(j, i); });
    flamingo::ops::clear(ctx_, dsaid);
    for (int i = 0; i < pairs; ++i)
      for (int j = 0; j < pairs; ++j) {
        const float share = lambda * how_.sharpness * static_cast<float>(gradient[at(i, j)]);
        for (int d = 0; d < D; ++d) dsaid.row(i)[d] += share * texts[static_cast<std::size_t>(j)][d];
      }
    unit.backward(said, dsaid);
    flamingo::ops::linear_backward(ctx_, value, block.out, dsaid, dvalue, dblock.out);
    flamingo::ops::linear_backward(ctx_, pooled, block.value, dvalue, dpooled_here, dblock.value);
    for (int n = 0; n < pairs; ++n)
      for (int d = 0; d < E; ++d) dpooled.row(n)[d] += dpooled_here.row(n)[d];
    return loss;
  }

  static float dot(const float* a, const float* b) {
    float sum = 0;
    for (int d = 0; d < D; ++d) sum += a[d] * b[d];
    return sum;
  }
  /// What blocks read as if every latent got the same weight.
  void pool(const flamingo::Rows<P, E>& latents, const flamingo::Rows<P, E>& pooled) {
    flamingo::ops::clear(ctx_, pooled);
    for (int n = 0; n < latents.rows; ++n)
      for (int d = 0; d < E; ++d) pooled.row(n / Model::R)[d] += latents.row(n)[d] / float(Model::R);
  }

  /// What a block's attention adds for each of them.
  void say(const auto& block, const flamingo::Rows<P, E>& pooled, const flamingo::Rows<P, KV>& value,
           const flamingo::Rows<P, D>& said) {
    flamingo::ops::linear(ctx_, pooled, block.value, value);
    flamingo::ops::linear(ctx_, value, block.out, said);
  }

  flamingo::Context<P>& ctx_;
  const std::vector<Picture>& pictures_;
  const Seen& features_;
  std::vector<std::size_t> members_;
  WarmUp how_;
  double word_length_ = 0;
  std::vector<Saying> sayings_;  ///< the last block's, then the first's
};

/// Trains the Resampler, and of the blocks that learn to say a picture their values and output maps; `watched` are
/// pictures kept out, whose retrieval is printed.
template <class Trainer, class Seen>
void warm_up(flamingo::Context<P>& ctx, Trainer& trainer, Contrast<Seen>& contrast, const WarmUp& how,
             const std::vector<std::vector<std::size_t>>& watched) {
  flamingo::OptimizerOptions options{.beta2 = 0.98};
  options.group = [&](const flamingo::Spec& spec) {
    const bool decays = std::string_view(spec.name).starts_with("resampler") && spec.role == flamingo::Role::matrix;
    return flamingo::Group{1, decays ? how.decay : 0.0};
  };
  flamingo::Optimizer<typename Trainer::Layer, P> optimizer(options);
  const flamingo::Schedule schedule{
      .peak = how.rate, .warmup = 20, .shape = flamingo::Schedule::Shape::cosine, .steps = how.steps, .floor = 0.02};
  flamingo::Progress progress(std::cerr, "warm-up", how.steps);
  double recent = 0;
  for (long step = 1; step <= how.steps; ++step) {
    trainer.gradients.clear();
    const double loss = contrast.pass(trainer.weights.views, trainer.gradients.views, step, 1);
    optimizer.step(ctx, trainer.weights, trainer.gradients, schedule.rate(step));
    recent += (loss - recent) / static_cast<double>(std::min<long>(step, 20));
    std::ostringstream what;
    what << "loss " << recent << " of " << std::log(how.pairs);
    if (step % 100 == 0 || step == how.steps) {
      what << ", found";
      for (const auto& members : watched) what << ' ' << contrast.retrieval(trainer.weights.views, members);
      std::cerr << "step " << step << ": " << what.str() << '\n';
    }
    progress.report(step, what.str());
  }
}

}  // namespace caption
