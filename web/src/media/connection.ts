import { belongs } from "./sdp";
import { iceServers } from "../state";

/** What both ends of a browser-to-browser connection share. */
export function newConnection(): RTCPeerConnection {
  const { servers, relayOnly } = iceServers.value;
  const iceTransportPolicy = relayOnly ? "relay" : "all";
  // One transport for picture and sound: half the candidates to gather and to relay.
  return new RTCPeerConnection({ iceServers: servers, iceTransportPolicy, bundlePolicy: "max-bundle" });
}

/**
 * Candidates may come before the description they belong to, and, after a reload of the other side,
 * from a connection that is no more. Only those of the description at hand are used.
 */
export function candidateBox(pc: RTCPeerConnection): {
  take(candidate: RTCIceCandidateInit | null): void;
  described(): void;
} {
  let early: RTCIceCandidateInit[] = [];
  const use = (candidate: RTCIceCandidateInit): void => {
    if (belongs(candidate, pc.remoteDescription)) void pc.addIceCandidate(candidate).catch(() => undefined);
  };
  return {
    take(candidate) {
      if (candidate === null) return;
      if (pc.remoteDescription === null) early.push(candidate);
      else use(candidate);
    },
    described() {
      early.forEach(use);
      early = [];
    },
  };
}
