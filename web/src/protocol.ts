/** The shapes of docs/protocol.md, as the browser sees them. */

export interface Person {
  id: string;
  name: string;
  display_name: string;
}

export interface Profile extends Person {
  bio: string;
  is_guest: boolean;
  is_demo: boolean;
  created_at: string;
}

export interface Account {
  profile: Profile;
  is_guest: boolean;
  roles: string[];
  expires_at: string;
}

export interface Link {
  label: string;
  url: string;
}

export interface Stream {
  id: string;
  streamer: Person;
  title: string;
  live_available: boolean;
  is_published: boolean;
  active_viewer_count: number;
  publish_epoch: number;
  preview_version: number;
  live_since: string | null;
  slow_mode_seconds: number;
}

export interface ProfilePage extends Profile {
  followers: number;
  following: number;
  links: Link[];
  stream: Stream | null;
  you_follow: boolean;
  you_block: boolean;
}

export type FollowedProfile = Profile & { stream: Stream | null };

export interface Slot {
  slot_index: number;
  streamer_id: string;
  is_pinned: boolean;
  is_muted: boolean;
  is_active: boolean;
  volume: number;
  stream?: Stream | null;
  streamer?: Person;
}

export interface ChatMessage {
  id: number;
  stream_id: string;
  type: "text" | "system" | "gift";
  sender: Person | null;
  body: string;
  created_at: string;
  is_deleted: boolean;
}

/** A report for moderators: what the message said then, and what is left of it now. */
export interface ChatReport {
  id: number;
  reported_at: string;
  reason: string;
  reporter: Person | null;
  body: string;
  message: ChatMessage;
}

export interface Why {
  stream_id: string;
  is_published: boolean;
  code: string;
  text: string;
  active_viewer_count: number;
  epoch: number;
  since: string;
  until: string | null;
  watchers?: string[];
}

export interface Interval {
  epoch: number;
  started_at: string;
  ended_at: string | null;
  started_reason: string;
  ended_reason: string | null;
}

export interface LiveSpan {
  started_at: string;
  ended_at: string | null;
  ended_reason: string | null;
}

export interface Intervals {
  intervals: Interval[];
  live: LiveSpan[];
}

export interface Problem {
  type: string;
  title: string;
  status: number;
  code: string;
  detail?: string;
  hint?: string;
  fields?: Record<string, unknown>;
  request_id?: string;
}

export interface Tile {
  stream_id: string;
  is_active: boolean;
  is_unmuted: boolean;
  is_visible: boolean;
  is_subscribed: boolean;
}

export interface PublisherBeat {
  stream_id: string;
}

export type SignalData =
  | { kind: "offer" | "answer"; sdp: string }
  | { kind: "candidate"; candidate: RTCIceCandidateInit | null }
  | { kind: "ended" };

export interface Snapshot {
  type: "snapshot";
  connection: string;
  account: Account;
  streams: Stream[];
  slots: Slot[];
  blocked: string[];
  own_stream: Stream | null;
  heartbeat_seconds: number;
  limits: { tiles: number; active: number; seats: number };
  ice_servers: RTCIceServer[];
  relay_only: boolean;
  server_time: string;
}

export interface SeatMessage {
  type: "seat";
  stream_id: string;
  state: "granted" | "waiting" | "none";
  media_id: string | null;
  publisher: string | null;
  position: number | null;
}

export interface PublishMessage {
  type: "publish";
  stream_id: string;
  epoch: number;
  is_published: boolean;
  why: Why;
}

export interface Seated {
  connection: string;
  media_id: string;
  name: string;
}

export interface WatchersMessage {
  type: "watchers";
  stream_id: string;
  revision: number;
  seated: Seated[];
  waiting: { name: string }[];
}

export interface SignalMessage {
  type: "signal";
  from: string;
  stream_id: string;
  media_id: string;
  data: SignalData;
}

export interface Wallet {
  coins: number;
  debt: number;
  is_frozen: boolean;
  held_coins: number;
  earnings: number;
}

export type Currency = "coins" | "earnings";

export interface StatementEntry {
  transaction_id: number;
  kind: string;
  amount: number;
  balance: number;
  created_at: string;
  source_id: string;
  counterpart: Person | null;
  title: string;
}

export interface CoinPack {
  id: string;
  title: string;
  coins: number;
  usd_cents: number;
  platform: string;
  /** So large that a second person decides about it before it is charged. */
  requires_approval: boolean;
}

export type PurchaseStatus =
  | "created"
  | "pending"
  | "processing"
  | "held"
  | "approved"
  | "completed"
  | "rejected"
  | "expired"
  | "canceled"
  | "failed"
  | "refunded"
  | "disputed"
  | "dispute_lost";

export interface Purchase {
  id: string;
  number: number;
  status: PurchaseStatus;
  /** Given up by its buyer, and the provider has yet to agree. */
  is_being_canceled: boolean;
  coin_pack_id: string | null;
  platform: string;
  payment_provider: string;
  provider_payment_id: string | null;
  coin_amount: number;
  usd_cents: number;
  requires_approval: boolean;
  hold_reason: string | null;
  decide_by: string | null;
  created_at: string;
  completed_at: string | null;
  /** ISO code in small letters; all cents below are of its smallest unit. */
  currency: string;
  authorized_cents: number;
  captured_cents: number;
  paid_coins: number;
  /** Of those, what went to a debt and not into the wallet. */
  repaid_coins: number;
  refunded_cents: number;
  refunded_coins: number;
  disputed_cents: number;
}

export type Checkout = { kind: "redirect"; url: string } | { kind: "stripe"; client_secret: string; publishable_key: string };

export interface GiftType {
  id: string;
  title: string;
  emoji: string;
  price: number;
}

/** A gift as everybody who sees the stream hears of it. */
export interface Gift {
  id: string;
  gift_type_id: string;
  title: string;
  emoji: string;
  price: number;
  sender_id: string;
  sender: Person | null;
  recipient_id: string;
}

/** The answer to whoever sent it; `coins` is what they have left. */
export interface GiftReceipt {
  gift_id: string;
  gift_type_id: string;
  title: string;
  emoji: string;
  price: number;
  coins: number;
  is_repeat: boolean;
}

export interface HeldPurchase {
  purchase: Purchase;
  buyer: Person | null;
  card_country: string | null;
  country_code: string | null;
  is_captured: boolean;
  history: { purchases: number; refunds: number; disputes: number };
  may_decide: boolean;
  /** Not one's own, there is somebody to be credited, and in the currency that coins have a price in. */
  may_approve: boolean;
  coins_if_approved: number;
}

export interface LedgerStatus {
  head: string;
  sealed_at: string | null;
  transactions: number;
  unsealed: number;
  oldest_unsealed_seconds: number | null;
  is_healthy: boolean;
}

export interface PaymentEvent {
  provider: string;
  event_id: string;
  type: string;
  payment_id: string | null;
  outcome: "waiting" | "applied" | "parked" | "ignored" | "failed";
  error: string | null;
  received_at: string;
  attempts: number;
}

export interface AuditEntry {
  id: number;
  at: string;
  /** Null for the server itself; of somebody who has left it is all there is. */
  actor_id: string | null;
  actor: Person | null;
  action: string;
  subject: string;
  /** Whose purchase was decided about; null also once they have left. */
  buyer: Person | null;
  details: Record<string, unknown>;
}

export interface PurchaseSettings {
  limit_cents: number;
  threshold_cents: number;
  velocity: number;
  daily_threshold_cents: number | null;
  streamer_share_percent: number;
  /** Until then the lowest limit and thresholds of the last 24 hours count; null: all apply as they stand. */
  raises_apply_at: string | null;
  /** What purchases are held to now. */
  in_force: { limit_cents: number; threshold_cents: number; daily_threshold_cents: number | null };
}

export type ServerMessage =
  | Snapshot
  | SeatMessage
  | PublishMessage
  | WatchersMessage
  | SignalMessage
  | { type: "stream"; stream: Stream }
  | { type: "slots"; slots: Slot[] }
  | { type: "publisher_away"; stream_id: string }
  | { type: "publisher_lost"; stream_id: string; reason: string }
  | { type: "chat"; message: ChatMessage }
  | { type: "chat_deleted"; stream_id: string; id: number }
  | { type: "wallet" }
  | { type: "purchase"; purchase: Purchase }
  | { type: "gift"; stream_id: string; gift: Gift }
  | { type: "held" }
  | { type: "ok"; re?: number; stream?: Stream }
  | { type: "error"; re?: number; problem: Problem }
  | { type: "goodbye"; reason: "restart" | "signed_out"; reconnect_after_ms: number };

export type ClientMessage =
  | { type: "hello"; protocol: 1; session_id: string }
  | { type: "heartbeat"; id?: number; sequence: number; tiles: Tile[]; publisher?: PublisherBeat }
  | { type: "leave"; sequence: number; stream_ids?: string[] }
  | { type: "go_live"; id?: number; title: string; take_over?: boolean }
  | { type: "stop"; id?: number }
  | { type: "signal"; to: string; media_id: string; data: SignalData }
  | { type: "open_chat"; stream_id: string | null };
