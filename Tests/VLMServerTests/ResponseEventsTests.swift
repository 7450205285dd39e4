import Testing
import VLMFoundation
import VLMZ

@testable import VLMServer

/// Streams of `/v1/responses`.
@Suite struct ResponseEventsTests {
  private let json = ResponseJSON(created: 5, model: "m", request: JSONObject())

  /// The events' data, after a look at their names and numbers.
  private func events(_ text: String, from first: Int = 0) throws -> [JSONValue] {
    let events = try text.split(separator: "\n\n").map { event in
      let lines = event.split(separator: "\n")
      #expect(lines.count == 2)
      let data = try body(String(try #require(lines.last).dropFirst("data: ".count)))
      #expect(lines[0] == "event: \(data["type"]?.stringValue ?? "")")
      return data
    }
    #expect(events.map { $0["sequence_number"]?.intValue } == Array(first..<first + events.count))
    return events
  }

  @Test func aTextIsAnItemWithOnePart() throws {
    var events = ResponseEvents(json)
    events.begin()
    events.beginMessage(tellsTokens: false)
    events.append("A ")
    events.append("cup")
    events.endMessage(.completed)
    events.end(.completed, usage: TokenUsage(prompt: 3, cached: 1, answer: 2))
    let found = try self.events(events.take())
    #expect(
      found.map { $0["type"]?.stringValue?.dropFirst("response.".count) } == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta",
        "output_text.delta", "output_text.done", "content_part.done", "output_item.done",
        "completed",
      ])
    #expect(found[6]["text"] == "A cup")
    let response = try #require(found[9]["response"])
    #expect(response["status"] == "completed")
    let item = try #require(found[8]["item"])
    #expect(response["output"]?.arrayValue == [item])
    #expect(found[4]["item_id"] == found[8]["item"]?["id"])
    #expect(response["usage"]?["input_tokens_details"]?["cached_tokens"] == 1)
    #expect(response["usage"]?["total_tokens"] == 5)
    #expect(events.take() == "")
  }

  @Test func callsAreItemsOfTheirOwn() throws {
    var events = ResponseEvents(json)
    events.beginMessage(tellsTokens: false)
    events.append("I look.")
    events.endMessage(.completed)
    events.add(ToolUse.Call(name: "look", arguments: "{\"a\":1}"), .completed)
    events.add(ToolUse.Call(name: "look", arguments: "{\"a\""), .incomplete)
    events.end(.incomplete, usage: TokenUsage())
    let found = try self.events(events.take())
    let last = try #require(found.last?["response"])
    #expect(last["incomplete_details"]?["reason"] == "max_output_tokens")
    let items = try #require(last["output"]?.arrayValue)
    #expect(items.map { $0["type"] } == ["message", "function_call", "function_call"])
    #expect(items.map { $0["status"] } == ["completed", "completed", "incomplete"])
    #expect(items[1]["arguments"] == "{\"a\":1}")
    #expect(Set(items.compactMap { $0["id"]?.stringValue }).count == 3)
    let places = found.filter { $0["type"] == "response.output_item.added" }
    #expect(places.map { $0["output_index"] } == [0, 1, 2])
  }

  @Test func anErrorInTheMiddleIsOneThatClientsRaise() throws {
    var events = ResponseEvents(json)
    events.begin()
    _ = events.take()
    events.fail(.deadline)
    let found = try #require(try self.events(events.take(), from: 2).first)
    #expect(found["type"] == "error")
    #expect(found["code"] == "deadline_exceeded")
    #expect(found["error"]?["message"] == found["message"])
  }
}
