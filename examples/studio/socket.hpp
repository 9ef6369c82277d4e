/// The connections of this process, and whether the client of a request is still there. cpp-httplib 0.11 does not tell
/// the socket of a request, so it is looked for among this process's: the one whose other end is the request's.
#pragma once
#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <httplib.h>

namespace studio {

/// The other end of a connection: "127.0.0.1 54321".
inline std::string peer_of(const httplib::Request& request) {
  return request.remote_addr + ' ' + std::to_string(request.remote_port);
}
/// Calls f(descriptor, peer) for each connection of this process over TCP: not for a standard stream that is a socket.
template <class F>
void each_connection(const F& f) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", ignored)) {
    const int descriptor = std::atoi(entry.path().filename().c_str());
    sockaddr_storage other{};
    socklen_t size = sizeof other;
    if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&other), &size) != 0) continue;
    if (other.ss_family != AF_INET && other.ss_family != AF_INET6) continue;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (getnameinfo(reinterpret_cast<const sockaddr*>(&other), size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0)
      f(descriptor, std::string(host) + ' ' + port);
  }
}

class Client {
 public:
  explicit Client(const httplib::Request& request) {
    each_connection([&, of = peer_of(request)](int descriptor, const std::string& peer) {
      if (peer == of) socket_ = descriptor;
    });
  }
  /// The connection has been closed, also where the client has only closed its own direction: nobody who waits for an
  /// answer does so.
  bool gone() const {
    if (socket_ < 0) return false;
    char byte = 0;
    const ssize_t read = recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return read == 0 || (read < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
  }

 private:
  int socket_ = -1;
};

}  // namespace studio
