/// The server: who may ask, on which socket, and for what.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "shots.hpp"
#include "visit.hpp"
#include "writer.hpp"

namespace studio {

class Http {
 public:
  Http(Writer& writer, const Limits& limits, std::vector<Shot> shots);
  ~Http();
  /// The port, which is given where 0 was asked for. Throws Error where it is taken. Requests to a host that is none of
  /// `names`, nor localhost, are refused, but where the address is not this machine's alone and no name is given.
  int bind(const std::string& host, int port, std::vector<std::string> names);
  /// Serves until stop().
  void serve();
  /// From any thread: what is being written ends as refused.
  void stop();

 private:
  struct Parts;  // cpp-httplib's, which is parsed in http.cpp
  std::unique_ptr<Parts> parts_;
};

}  // namespace studio
