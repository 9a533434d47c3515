/** The session named in an SDP's origin line: two offers of one connection share it. */
export function sessionOf(sdp: string): string {
  return /^o=\S+ (\S+)/m.exec(sdp)?.[1] ?? "";
}

/** Whether a candidate is of the connection that a description describes. */
export function belongs(candidate: RTCIceCandidateInit, to: { sdp: string } | null): boolean {
  const fragment = candidate.usernameFragment;
  return !fragment || to === null || to.sdp.includes(`a=ice-ufrag:${fragment}`);
}
