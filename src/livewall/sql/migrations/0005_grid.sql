-- Each person's own wall of 12 slots. There is no shared grid.

CREATE TABLE public.user_grid_slots (
    viewer_id uuid NOT NULL DEFAULT auth.uid(),
    slot_index smallint NOT NULL,
    streamer_id uuid NOT NULL,
    is_pinned boolean NOT NULL DEFAULT false,
    is_muted boolean NOT NULL DEFAULT false,
    is_active boolean NOT NULL DEFAULT false,
    volume smallint NOT NULL DEFAULT 100,
    CONSTRAINT user_grid_slots_one_per_index PRIMARY KEY (viewer_id, slot_index),
    -- Deferrable, so that one UPDATE may swap two tiles.
    CONSTRAINT user_grid_slots_streamer_once UNIQUE (viewer_id, streamer_id) DEFERRABLE INITIALLY IMMEDIATE,
    CONSTRAINT user_grid_slots_of_viewer FOREIGN KEY (viewer_id) REFERENCES public.profiles (id) ON DELETE CASCADE,
    CONSTRAINT user_grid_slots_of_streamer FOREIGN KEY (streamer_id) REFERENCES public.profiles (id) ON DELETE CASCADE,
    CONSTRAINT user_grid_slots_index_1_to_12 CHECK (slot_index BETWEEN 1 AND 12),
    CONSTRAINT user_grid_slots_volume_range CHECK (volume BETWEEN 0 AND 100)
);
CREATE INDEX user_grid_slots_by_streamer ON public.user_grid_slots (streamer_id);
ALTER TABLE public.user_grid_slots ENABLE ROW LEVEL SECURITY;
