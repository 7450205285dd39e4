import Testing
import VLMFoundation
import VLMServer

@Suite struct AdmissionTests {
  private func service(keys: [String] = [], names: [String] = []) -> Service {
    Service(
      models: [], limits: small, keys: keys.isEmpty ? nil : APIKeys(keys),
      browsers: BrowserGuard(names: names, trustsAllNames: !keys.isEmpty))
  }

  private func status(_ service: Service, _ head: RequestHead) -> Int {
    refusal { _ = try service.admit(head) }?.status ?? 200
  }

  @Test func routesAreFoundByTheirPaths() {
    for route in Route.allCases where route != .model {
      #expect(Route.find(route.rawValue)?.route == route)
    }
    #expect(Route.find("/v1/models/a/b")?.rest == "a/b")
    #expect(Route.find("/v1/models/")?.route == .models)
    for path in ["", "/v1", "/v1/chat", "//health", "/health/x", "/V1/models"] {
      #expect(Route.find(path) == nil)
    }
  }

  @Test func methodsAreThoseOfTheRoutes() {
    let service = service()
    #expect(status(service, RequestHead(method: "GET", path: "/v1/chat/completions")) == 405)
    #expect(status(service, RequestHead(method: "POST", path: "/health")) == 405)
    #expect(status(service, RequestHead(method: "HEAD", path: "/health")) == 200)
    #expect(status(service, RequestHead(method: "POST", path: "/v1/classify")) == 200)
    #expect(status(service, RequestHead(method: "GET", path: "/nothing")) == 404)
  }

  @Test func keysOpenWhatIsNotOpen() {
    let service = service(keys: ["one", "two"])
    func get(_ path: String, _ authorization: String?) -> Int {
      status(service, RequestHead(method: "GET", path: path, authorization: authorization))
    }
    #expect(get("/health", nil) == 200)
    #expect(get("/", nil) == 200)
    #expect(get("/metrics", nil) == 401)
    #expect(get("/v1/models", "Bearer one") == 200)
    #expect(get("/v1/models", "bearer two") == 200)
    for wrong in ["Bearer ", "Bearer on", "Bearer one ", "Basic one", "one", "Bearer", ""] {
      #expect(get("/v1/models", wrong) == 401)
    }
  }

  @Test func keysOfAFileAreItsLinesWithoutComments() {
    #expect(APIKeys.keys(in: "# a\r\n one\t\n\n\ttwo#2\n") == ["one", "two#2"])
  }

  @Test(
    "only this server's own names and pages are answered",
    arguments: [
      ("127.0.0.1:80", nil, 200), ("localhost", nil, 200), ("[::1]:8080", nil, 200),
      ("models.lan:80", nil, 200), ("evil.example", nil, 403), ("1.2.3.evil", nil, 403),
      ("localhost:80", "http://localhost:80", 200), ("localhost:80", "http://localhost", 403),
      ("localhost", "http://evil.example", 403), ("localhost", "null", 403), ("", nil, 200),
    ] as [(String, String?, Int)])
  func names(_ host: String, _ origin: String?, _ expected: Int) {
    let head = RequestHead(method: "GET", path: "/health", host: host, origin: origin)
    #expect(status(service(names: ["Models.lan"]), head) == expected)
  }

  private func pages(_ origins: [String], keys: [String] = []) -> Service {
    Service(
      models: [], limits: small, keys: keys.isEmpty ? nil : APIKeys(keys),
      browsers: BrowserGuard(
        names: [], trustsAllNames: true, origins: origins,
        remedies: .init(origin: "; let it in")))
  }

  private func header(_ response: Response, _ name: String) -> String? {
    response.headers.first { $0.name == name }?.value
  }

  @Test func pagesThatMayAskAreAnsweredAndTold() async throws {
    let service = pages(["http://localhost:3000"], keys: ["one"])
    let preflight = RequestHead(
      method: "OPTIONS", path: "/v1/models", host: "a", origin: "http://localhost:3000")
    #expect(status(service, preflight) == 200)
    let consent = await service.respond(to: preflight, body: [], record: RequestRecord())
    #expect(consent.status == 204)
    #expect(header(consent, "Access-Control-Allow-Origin") == "http://localhost:3000")
    #expect(header(consent, "Access-Control-Allow-Headers") == "Authorization, *")
    let get = RequestHead(
      method: "GET", path: "/health", host: "a", origin: "http://localhost:3000")
    let answer = await service.respond(to: get, body: [], record: RequestRecord())
    #expect(header(answer, "Access-Control-Allow-Origin") == "http://localhost:3000")
    #expect(header(answer, "Vary") == "Origin")
    let refused = service.refusal(.stopping, of: get)
    #expect(header(refused, "Access-Control-Allow-Origin") == "http://localhost:3000")
    // Consent is no key.
    #expect(
      status(
        service,
        RequestHead(
          method: "GET", path: "/v1/models", host: "a", origin: "http://localhost:3000")) == 401)
  }

  @Test func otherPagesLearnHowToBeLetIn() {
    let service = pages(["http://localhost:3000"])
    for method in ["GET", "OPTIONS"] {
      let head = RequestHead(method: method, path: "/health", host: "a", origin: "http://b")
      let error = refusal { _ = try service.admit(head) }
      #expect(error?.status == 403)
      #expect(error?.message.hasSuffix("; let it in") == true)
      #expect(header(service.refusal(.stopping, of: head), "Access-Control-Allow-Origin") == nil)
    }
    let anyone = RequestHead(method: "GET", path: "/health", host: "a", origin: "null")
    #expect(status(pages(["*"]), anyone) == 200)
    #expect(status(pages([]), RequestHead(method: "OPTIONS", path: "/health", host: "a")) == 405)
  }

  @Test func keysTellTheirHolders() {
    let keys = APIKeys(["one", "two", "three"])
    #expect(keys.number(authorization: "Bearer one ") == 1)
    #expect(keys.number(authorization: "Bearer three") == 3)
    #expect(keys.number(authorization: "Bearer four") == nil)
    #expect(keys.number(authorization: nil) == nil)
  }

  @Test func keysMakeNamesSuperfluousButNotOrigins() {
    let service = service(keys: ["one"])
    #expect(status(service, RequestHead(method: "GET", path: "/health", host: "a.example")) == 200)
    let foreign = RequestHead(
      method: "GET", path: "/health", host: "a.example", origin: "https://b.example")
    #expect(status(service, foreign) == 403)
  }
}
