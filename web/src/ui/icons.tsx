import type { ComponentChildren } from "preact";

function Icon({ children }: { children: ComponentChildren }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" width="18" height="18" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      {children}
    </svg>
  );
}

const speaker = <path d="M3 7.8v4.4h2.8L9.8 15.5v-11L5.8 7.8z" />;

export const SoundIcon = () => (
  <Icon>
    {speaker}
    <path d="M12.6 7.6a3.4 3.4 0 0 1 0 4.8M14.9 5.4a6.5 6.5 0 0 1 0 9.2" />
  </Icon>
);
export const MutedIcon = () => (
  <Icon>
    {speaker}
    <path d="m13 8 4 4m0-4-4 4" />
  </Icon>
);
export const PinIcon = () => (
  <Icon>
    <path d="M7 3h6l-.8 5.2L14.5 11h-9l2.3-2.8zM10 11v6" />
  </Icon>
);
export const PinnedIcon = () => (
  <Icon>
    <path d="M7 3h6l-.8 5.2L14.5 11h-9l2.3-2.8z" fill="currentColor" />
    <path d="M10 11v6" />
  </Icon>
);
export const MoreIcon = () => (
  <Icon>
    <g fill="currentColor" stroke="none">
      <circle cx="4.5" cy="10" r="1.6" />
      <circle cx="10" cy="10" r="1.6" />
      <circle cx="15.5" cy="10" r="1.6" />
    </g>
  </Icon>
);
export const EyeIcon = () => (
  <Icon>
    <path d="M1.8 10S4.8 4.8 10 4.8 18.2 10 18.2 10 15.2 15.2 10 15.2 1.8 10 1.8 10z" />
    <circle cx="10" cy="10" r="2.4" />
  </Icon>
);
export const CameraIcon = () => (
  <Icon>
    <rect x="2" y="5.5" width="11" height="9" rx="2" />
    <path d="m13 9 4.5-2.5v7L13 11z" />
  </Icon>
);
export const MicrophoneIcon = () => (
  <Icon>
    <rect x="7.3" y="2.5" width="5.4" height="9" rx="2.7" />
    <path d="M4.5 9.5a5.5 5.5 0 0 0 11 0M10 15v2.5" />
  </Icon>
);
export const PlusIcon = () => (
  <Icon>
    <path d="M10 4.5v11M4.5 10h11" />
  </Icon>
);
export const CloseIcon = () => (
  <Icon>
    <path d="m5 5 10 10M15 5 5 15" />
  </Icon>
);
export const MoveIcon = () => (
  <Icon>
    <path d="M10 2.5v15M2.5 10h15M8 4.5l2-2 2 2M8 15.5l2 2 2-2M4.5 8l-2 2 2 2M15.5 8l2 2-2 2" />
  </Icon>
);
export const PlayIcon = () => (
  <Icon>
    <path d="M6.5 4.2v11.6L16 10z" fill="currentColor" />
  </Icon>
);
export const ChatIcon = () => (
  <Icon>
    <path d="M3 4.5h14v9H9.5L6 16.5v-3H3z" />
  </Icon>
);
export const GiftIcon = () => (
  <Icon>
    <path d="M3 7.5h14v3H3zM4.2 10.5h11.6V17H4.2zM10 7.5V17M10 7.5C7 7.5 5.6 6.4 5.6 5.1c0-1 .8-1.9 1.9-1.9C9.2 3.2 10 5.4 10 7.5zM10 7.5c3 0 4.4-1.1 4.4-2.4 0-1-.8-1.9-1.9-1.9-1.7 0-2.5 2.2-2.5 4.3z" />
  </Icon>
);
export const RoseIcon = () => (
  <Icon>
    <circle cx="10" cy="6.6" r="4" />
    <path d="M8 6.8a2 2 0 0 1 4 0M10 10.6v7M10 15.4c2.4 0 3.9-1.1 4.2-3-2.3 0-3.8 1.1-4.2 3z" />
  </Icon>
);
export const HeartIcon = () => (
  <Icon>
    <path d="M10 16.5S3 12.6 3 7.7a3.7 3.7 0 0 1 7-1.7 3.7 3.7 0 0 1 7 1.7c0 4.9-7 8.8-7 8.8z" />
  </Icon>
);
export const StarIcon = () => (
  <Icon>
    <path d="m10 2.8 2.2 4.6 5 .7-3.6 3.5.9 5L10 14.2l-4.5 2.4.9-5L2.8 8.1l5-.7z" />
  </Icon>
);
export const AuroraIcon = () => (
  <Icon>
    <path d="M2.5 15c2.5-2.4 5-2.4 7.5 0s5 2.4 7.5 0M3.6 10.6V6M6.8 9.8V3.5M10 11V5.5M13.2 12.8V4M16.4 12.6V7" />
  </Icon>
);
export const CrownIcon = () => (
  <Icon>
    <path d="M3 6.5 6.5 10 10 4l3.5 6L17 6.5 15.5 14h-11zM4.7 16.8h10.6" />
  </Icon>
);
export const SunIcon = () => (
  <Icon>
    <circle cx="10" cy="10" r="3.2" />
    <path d="M10 2.5v2M10 15.5v2M2.5 10h2M15.5 10h2M4.7 4.7l1.4 1.4M13.9 13.9l1.4 1.4M4.7 15.3l1.4-1.4M13.9 6.1l1.4-1.4" />
  </Icon>
);

export const Logo = () => (
  <svg class="logo" viewBox="0 0 22 18" width="20" height="16" aria-hidden="true">
    <rect x="0" y="1" width="9" height="16" rx="3" class="logo-on" />
    <rect x="10.5" y="1" width="5" height="16" rx="2" class="logo-mid" />
    <rect x="17" y="1" width="5" height="16" rx="2" class="logo-off" />
  </svg>
);
