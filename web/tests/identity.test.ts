import { expect, test } from "vitest";
import { originOf, wayBack } from "../src/identity/way-back";

test("who signs in returns to where they were, through both doors", () => {
  const atSignIn = originOf("/wallet", null);
  const atCreateAccount = originOf("/sign-in", atSignIn);
  expect([atSignIn, atCreateAccount].map(wayBack)).toEqual(["/wallet", "/wallet"]);
  expect(wayBack(originOf("/sign-in", null))).toBe("/");
});

test.each([null, undefined, "/wallet", {}, { from: 1 }, { from: "" }, { from: "wallet" }, { from: "//elsewhere.example" }, { from: "/\\elsewhere.example" }, { from: "https://elsewhere.example/" }, { from: "javascript:alert(1)" }])(
  "the way never leads to another site: %o",
  (state) => expect(wayBack(state)).toBe("/"),
);
