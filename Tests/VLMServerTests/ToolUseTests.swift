import Testing
import VLMFoundation
import VLMZ

@testable import VLMServer

@Suite struct ToolUseTests {
  private static let weather =
    ##"{"type": "function", "function": {"name": "weather", "description": "The weather", "##
    + ##""parameters": {"type": "object", "properties": {"place": {"$ref": "#/$defs/Place"}}, "##
    + ##""required": ["place"], "$defs": {"Place": {"type": "string"}}}}}"##
  private static let time = #"{"type": "function", "function": {"name": "time"}}"#

  private func chat(_ messages: String, _ more: String) throws -> ChatRequest {
    try ChatRequest(
      try body(#"{"messages": [\#(messages)], \#(more)}"#), limits: small, randomSeed: { 1 })
  }

  private let question = #"{"role": "user", "content": "How is the weather?"}"#

  private func tools(_ choice: String = "") throws -> ChatRequest {
    try chat(question, #""tools": [\#(Self.weather), \#(Self.time)]\#(choice)"#)
  }

  @Test func theModelIsToldOfTheFunctions() throws {
    let request = try tools()
    #expect(request.messages.map(\.role) == [.system, .user])
    #expect(request.messages[0].text.contains(#""name":"weather","description":"The weather""#))
    #expect(request.parameters.options.format == .text)
    let own = try chat(
      #"{"role": "system", "content": "Be brief."}, \#(question)"#, #""tools": [\#(Self.time)]"#)
    #expect(own.messages[0].text.hasPrefix("Be brief.\n\n# Tools"))
  }

  @Test func noneMeansThatThereAreNone() throws {
    let request = try tools(#", "tool_choice": "none""#)
    #expect(request.messages.count == 1)
    #expect(request.parameters.tools == nil)
  }

  @Test(
    "a call that is required is a form of the answer",
    arguments: [
      #", "tool_choice": "required""#,
      #", "tool_choice": {"type": "function", "function": {"name": "weather"}}"#,
    ])
  func required(_ choice: String) throws {
    let request = try tools(choice)
    let format = request.parameters.options.format
    try format.validate()
    guard case .jsonSchema(let schema) = format else {
      Issue.record("a schema, found \(format)")
      return
    }
    #expect(schema.contains(##""$ref":"#/$defs/tool0/$defs/Place""##))
    #expect(schema.contains(#""const":"time""#) == choice.contains("required"))
  }

  @Test func callsAreReadOutOfAnswers() throws {
    let tools = try #require(try tools().parameters.tools)
    let call = #"{"name": "weather", "arguments": {"place": "Bonn"}}"#
    let expected = ToolUse.Call(name: "weather", arguments: #"{"place":"Bonn"}"#)
    #expect(tools.reply(call) == ToolUse.Reply(content: "", calls: [expected]))
    let two = tools.reply(
      "Let me see.\n<tool_call>\n\(call)\n</tool_call>\n<tool_call>{\"name\": \"time\"}</tool_call>"
    )
    #expect(two.content == "Let me see.")
    #expect(two.calls == [expected, ToolUse.Call(name: "time", arguments: "{}")])
    // The end may be cut off, or be a special token.
    #expect(tools.reply("<tool_call>\n" + call).calls == [expected])
    for text in [
      "Sunny.", "{}", #"{"name": "other", "arguments": {}}"#, "<tool_call>no</tool_call>",
      "<tool_call>", #"{"name": "weather", "arguments": 5}"#,
    ] {
      #expect(tools.reply(text) == ToolUse.Reply(content: text))
    }
  }

  @Test func resultsOfCallsAreOneMessage() throws {
    let call = #"{"id": "a", "type": "function", "function": {"name": "time", "arguments": "{}"}}"#
    let request = try chat(
      #"\#(question), {"role": "assistant", "content": null, "tool_calls": [\#(call), \#(call)]},"#
        + #" {"role": "tool", "tool_call_id": "a", "content": "noon"},"#
        + #" {"role": "tool", "content": [{"type": "text", "text": "night"}]}"#,
      #""tools": [\#(Self.time)]"#)
    #expect(request.messages.map(\.role) == [.system, .user, .assistant, .user])
    let asked = "<tool_call>\n{\"name\":\"time\",\"arguments\":{}}\n</tool_call>"
    #expect(request.messages[2].text == asked + "\n" + asked)
    #expect(
      request.messages[3].text
        == "<tool_response>\nnoon\n</tool_response>\n<tool_response>\nnight\n</tool_response>")
  }

  @Test(
    "tools that cannot be are refused by name",
    arguments: [
      (#""tools": [{"type": "function"}]"#, "tools[0].function"),
      (#""tools": [{"type": "web_search"}]"#, "tools[0].type"),
      (#""tools": [{"function": {"name": "a b"}}]"#, "tools[0].function.name"),
      (#""tools": [], "tool_choice": "required""#, "tool_choice"),
      (#""tools": [{"function": {"name": "a"}}], "tool_choice": "b""#, "tool_choice"),
      (
        #""tools": [{"function": {"name": "a"}}], "tool_choice": {"function": {"name": "b"}}"#,
        "tool_choice"
      ),
      (
        #""tools": [{"function": {"name": "a"}}], "tool_choice": "required", "grammar": "root ::= [a]""#,
        "tool_choice"
      ),
    ])
  func refuses(_ more: String, _ name: String) {
    #expect(refusal { _ = try chat(question, more) }?.parameter == name)
  }
}
